"""What other people's generators make of the specification compiles as well."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from service.web import docs
from tests.programs import NPM, npm_programs
from tests.sdk.clients import BIN, STRICT, node, run

MYPY = ["--no-incremental", "--no-error-summary", "--config-file="]
FETCH = [*STRICT, "--module", "esnext", "--moduleResolution", "bundler"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with the specification, as `openapi.json`."""
    npm_programs()
    (tmp_path / "openapi.json").write_bytes(docs.public_json())
    return tmp_path


def test_openapi_generators_clients_compile(folder: Path) -> None:
    wanted = {"python": {"packageName": "byline_openapi"}, "typescript-fetch": {}}
    for name, options in wanted.items():
        own = {"generatorName": name, "inputSpec": "openapi.json", "outputDir": name, **options}
        (folder / f"{name}.json").write_text(json.dumps(own))
    configs = [f"{name}.json" for name in wanted]
    said = run(BIN / "openapi-generator-cli", "batch", *configs, "--fail-fast", cwd=folder)
    assert "WARN" not in said

    package = folder / "python" / "byline_openapi"
    run(sys.executable, "-m", "compileall", "-q", package)
    run(sys.executable, "-W", "error", "-c", "import byline_openapi", cwd=package.parent)
    run(BIN / "mypy", *MYPY, package)
    node(NPM / "tsc", *FETCH, folder / "typescript-fetch" / "index.ts")


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
