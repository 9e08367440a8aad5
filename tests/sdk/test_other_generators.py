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
FETCH = [*STRICT, "--module", "esnext", "--moduleResolution", "bundler"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with the specification, as `openapi.json`."""
    npm_programs()
    (tmp_path / "openapi.json").write_bytes(specification.public_json())
    return tmp_path


def generate(folder: Path, wanted: dict[str, dict[str, str]]) -> str:
    """Have openapi-generator make these clients, each in a folder of its name."""
    for name, options in wanted.items():
        own = {"generatorName": name, "inputSpec": "openapi.json", "outputDir": name, **options}
        (folder / f"{name}.json").write_text(json.dumps(own))
    configs = [f"{name}.json" for name in wanted]
    return run(BIN / "openapi-generator-cli", "batch", *configs, "--fail-fast", cwd=folder)


def test_openapi_generators_clients_compile(folder: Path) -> None:
    said = generate(folder, {"python": {"packageName": "byline_openapi"}, "typescript-fetch": {}})
    assert "WARN" not in said

    package = folder / "python" / "byline_openapi"
    run(sys.executable, "-m", "compileall", "-q", package)
    run(sys.executable, "-W", "error", "-c", "import byline_openapi", cwd=package.parent)
    run(BIN / "mypy", *MYPY, package)
    node(NPM / "tsc", *FETCH, folder / "typescript-fetch" / "index.ts")


def test_openapi_generators_clients_take_a_field_that_is_newer_than_they_are(folder: Path) -> None:
    # The Java client has to be compiled with libraries that no package index here has.
    generate(folder, {"python": {"packageName": "byline_openapi"}, "java": {}})
    user = specification.document["components"]["schemas"]["User"]["example"]
    newer = json.dumps({**user, "pronouns": "she/her"})

    printed = run(sys.executable, "-c", OF_LATER, newer, cwd=folder / "python")
    java = next((folder / "java").rglob("model/User.java")).read_text()

    assert printed.strip() == user["username"]
    assert "validateJsonElement" in java
    assert "is not defined in the `User` properties" not in java


def test_orvals_client_compiles(folder: Path) -> None:
    node(
        NPM / "orval",
        "--client",
        "fetch",
        "--input",
        "openapi.json",
        "--output",
        "byline.ts",
        cwd=folder,
    )
    node(NPM / "tsc", *FETCH, folder / "byline.ts")
