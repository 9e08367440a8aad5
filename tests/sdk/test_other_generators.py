"""What other people's generators make of the specification compiles as well."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from service.specification import specification
from tests.kit.generated_clients import BIN, STRICT, node, run
from tests.kit.programs import NPM, npm_programs

MYPY = ["--no-incremental", "--no-error-summary", "--config-file="]
OF_LATER = """
import byline_openapi, json, sys
user = byline_openapi.User.from_dict(json.loads(sys.argv[1]))
print(user.username)
"""
CLIENTS = {
    "python": {"packageName": "byline_openapi"},
    "typescript-fetch": {},
    "java": {},
}
# Java is to begin its work rather than to prepare for hours of it.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"
FETCH = [*STRICT, "--module", "esnext", "--moduleResolution", "bundler"]


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
    return run(*generator, cwd=folder, JDK_JAVA_OPTIONS=SHORT_LIVED)


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
    # The Java client has to be compiled with libraries that no package index here has.
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
