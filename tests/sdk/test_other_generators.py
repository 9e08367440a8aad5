"""What other people's generators make of the specification compiles as well, and goes on working
when the service is newer."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service.specification import specification
from tests.kit.generated_clients import BIN, STRICT, node, run
from tests.kit.java import SHORT_LIVED, compiled, java
from tests.kit.newer import WORD, Newer
from tests.kit.programs import NPM, npm_programs
from tests.kit.serving import Server

MYPY = ["--no-incremental", "--no-error-summary", "--config-file="]
OF_LATER = """
import byline_openapi, json, sys
user = byline_openapi.User.from_dict(json.loads(sys.argv[1]))
print(user.username)
"""
NATIVE = {
    "invokerPackage": "byline",
    "apiPackage": "byline",
    "modelPackage": "byline.model",
    "openApiNullable": False,
    "useJakartaEe": False,
    "enumUnknownDefaultCase": True,
}
CLIENTS = {
    "python": {"packageName": "byline_openapi"},
    "typescript-fetch": {},
    "java": {},
    # Java once more, with the library that takes nothing but Jackson.
    "native": {"generatorName": "java", "library": "native", "additionalProperties": NATIVE},
}
# Which the sources name, and the generator's jar has not.
ANNOTATION = """
package javax.annotation;
public @interface Generated { String[] value(); String date(); String comments(); }
"""
# What these generators make is not made for the strictest of the flags.
FETCH = [flag for flag in STRICT if flag != "--exactOptionalPropertyTypes"]
FETCH += ["--module", "esnext", "--moduleResolution", "bundler"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with the specification, as `openapi.json`."""
    npm_programs()
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_bytes(specification.public_json())
    return folder


@pytest.fixture(scope="module")
def said(folder: Path) -> str:
    """What openapi-generator has said of three clients, each in a folder of its name."""
    for name, options in CLIENTS.items():
        own = {"generatorName": name, "inputSpec": "openapi.json", "outputDir": name, **options}
        (folder / f"{name}.json").write_text(json.dumps(own))
    configs = [f"{name}.json" for name in CLIENTS]
    generator = [BIN / "openapi-generator-cli", "batch", *configs, "--fail-fast"]
    return run(*generator, cwd=folder, JDK_JAVA_OPTIONS=" ".join(SHORT_LIVED))


def test_openapi_generator_has_nothing_to_complain_about(said: str) -> None:
    assert "WARN" not in said


@pytest.mark.usefixtures("said")
def test_openapi_generators_python_client_compiles(folder: Path) -> None:
    package = folder / "python" / "byline_openapi"
    run(sys.executable, "-m", "compileall", "-q", package)
    run(sys.executable, "-W", "error", "-c", "import byline_openapi", cwd=package.parent)
    run(BIN / "mypy", *MYPY, package)


@pytest.mark.usefixtures("said")
def test_openapi_generators_clients_take_a_field_that_is_newer_than_they_are(folder: Path) -> None:
    # Java's usual client has to be compiled with libraries that no package index here has.
    user = specification.document["components"]["schemas"]["User"]["example"]
    newer = json.dumps({**user, "pronouns": "she/her"})

    printed = run(sys.executable, "-c", OF_LATER, newer, cwd=folder / "python")
    java = next((folder / "java").rglob("model/User.java")).read_text()

    assert printed.strip() == user["username"]
    assert "validateJsonElement" in java
    assert "is not defined in the `User` properties" not in java


@pytest.mark.usefixtures("said")
def test_the_typescript_clients_of_openapi_generator_and_orval_compile(folder: Path) -> None:
    orval = ["--client", "fetch", "--input", "openapi.json", "--output", "byline.ts"]
    node(NPM / "orval", *orval, cwd=folder)
    node(NPM / "tsc", *FETCH, folder / "typescript-fetch" / "index.ts", folder / "byline.ts")


@pytest.mark.usefixtures("said")
def test_openapi_generators_java_client_works_with_a_newer_service(
    folder: Path, serve: Callable[..., Server]
) -> None:
    newer = serve(around=Newer)
    sources = folder / "native" / "src" / "main" / "java"
    (sources / "javax" / "annotation").mkdir(parents=True)
    (sources / "javax" / "annotation" / "Generated.java").write_text(ANNOTATION)
    classes = compiled(Path(__file__).with_name("Older.java"), sources)

    told = java("Older", newer.url, f"{secrets.token_hex(6)}@example.com", classes=classes)

    *lines, refused = told.splitlines()
    assert lines == [
        "role unknown_default_open_api",
        "me true",
        "field {is=[anything, {deep=null}]}",
        "title Green tea",
        "listed 1",
        "actions unknown_default_open_api",
        "sessions 1",
        "exported true",
    ]
    assert refused.startswith("refused 404")
    assert WORD in refused
