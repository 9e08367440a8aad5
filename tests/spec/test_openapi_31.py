"""The published document as OpenAPI 3.1: two validators and a generator of clients read it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.specification import specification
from tests.kit.generated_clients import STRICT, node
from tests.kit.programs import NPM, npm_programs
from tests.kit.references import resolved

DOCUMENT = orjson.loads(specification.public_json_31())
PUBLIC = orjson.loads(specification.public_json())
REDOCLY = Path(__file__).parents[2] / "openapi" / "redocly.yaml"
CLIENT = {"input": "openapi.json", "output": "client", "plugins": ["@hey-api/typescript"]}
USE = """import type { Passkey, SecondFactorMethod } from './client/index.js';
export const used: Passkey['last_used_at'][] = [null, '2026-11-22T17:00:00.000Z'];
export const method: SecondFactorMethod = 'totp';
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("openapi-3.1")
    (folder / "openapi.json").write_bytes(specification.public_json_31())
    return folder


def _pairs(old: Any, new: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each object of the one document with that of the other in the same place."""
    if isinstance(old, dict):
        yield old, new
        for key in old.keys() - {"example", "examples"}:
            yield from _pairs(old[key], new.get(key))
    if isinstance(old, list):
        for one, other in zip(old, new, strict=True):
            yield from _pairs(one, other)


def test_openapi_spec_validator_takes_it() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_redocly_has_nothing_to_say_about_it(folder: Path) -> None:
    lint = [Path(sys.prefix, "bin", "node"), npm_programs() / "redocly", "lint"]
    arguments = ["--config", REDOCLY, folder / "openapi.json"]
    run = subprocess.run([*lint, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_generator_of_clients_reads_it(folder: Path) -> None:
    npm_programs()
    (folder / "openapi-ts.config.json").write_bytes(orjson.dumps(CLIENT))
    node(NPM / "openapi-ts", "--file", "openapi-ts.config.json", "--silent", cwd=folder)
    (folder / "use.ts").write_text(USE)
    node(NPM / "tsc", *STRICT, "--module", "nodenext", "use.ts", cwd=folder)


def test_its_schemas_are_json_schema_and_their_examples_fit() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        validator = Draft202012Validator(resolved(schema, DOCUMENT))
        for example in schema["examples"]:
            assert validator.is_valid(example), name


def test_it_says_the_same_as_the_document_in_3_0() -> None:
    assert DOCUMENT["paths"].keys() == PUBLIC["paths"].keys()
    assert DOCUMENT["components"].keys() == PUBLIC["components"].keys()
    assert DOCUMENT["components"]["responses"].keys() == PUBLIC["components"]["responses"].keys()
    pairs = list(_pairs(PUBLIC, DOCUMENT))
    assert sum("nullable" in old for old, _ in pairs) > 5
    for old, new in pairs:
        assert old.keys() - new.keys() <= {"nullable", "example", "format"}
        assert new.keys() - old.keys() <= {"examples", "contentMediaType"}
        assert old.get("nullable", False) == ("null" in new.get("type", ""))
