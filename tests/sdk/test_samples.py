"""The code samples of every operation do what they say, against a server."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openapi.sdk.packages import FACADE, MODULE, PACKAGE
from service.engine.spec.client_names import client_names
from service.specification import specification
from tests.kit.code_samples import samples
from tests.kit.generated_clients import BIN, run
from tests.kit.programs import program
from tests.kit.serving import Person, Server

OPERATIONS = {
    operation["operationId"]: operation
    for item in specification.document["paths"].values()
    for operation in item.values()
}
# Its object may be missing or another user's, but the request of a sample is well formed.
REFUSALS = {"invalid-request", "malformed-body", "bad-request"}
ANNA = OPERATIONS["login"]["requestBody"]["content"]["application/json"]["example"]
# Runs all samples in one process, and prints the name of an error for each that has one.
RUN = """import { ApiError, UnexpectedAnswer } from 'byline-client';
console.log = () => {};
for (const name of process.argv.slice(2)) {
  let said = 'done';
  try { await import(`./${name}.ts`); }
  catch (error) { said = error instanceof ApiError ? error.code : String(error); }
  process.stdout.write(`${name} ${said}\\n`);
}
"""


@pytest.fixture
def person(serve: Callable[..., Server]) -> Person:
    """The person of the examples, on a server of their own."""
    return serve().sign_up(**ANNA)


def in_order(found: dict[str, str]) -> dict[str, str]:
    """The samples; `change_password` comes last, because the others sign in with the old one."""
    last = "change_password"
    return {name: found[name] for name in sorted(found, key=lambda name: name == last)}


def test_the_names_are_those_of_the_packages() -> None:
    assert samples("Python").keys() == samples("TypeScript").keys()
    assert samples("Python").keys() == client_names(specification.document).keys()
    assert samples("curl").keys() == OPERATIONS.keys()
    for name in samples("Python"):
        assert f"from {MODULE} import {FACADE}\n" in samples("Python")[name]
        assert f"import {{ {FACADE} }} from '{PACKAGE}';\n" in samples("TypeScript")[name]


def test_the_samples_are_for_the_address_of_the_service() -> None:
    for label in ("curl", "Python", "TypeScript"):
        for source in samples(label, "https://tea.example/under").values():
            assert "https://tea.example/under" in source
    assert "https://byline.example.com/api/users" in samples("curl")["list_users"]


def test_curl_sends_what_the_operations_accept(person: Person) -> None:
    given = in_order(samples("curl", person.server.url))
    say = "curl --silent --write-out '\\n%{http_code}\\n' "
    tokens = {
        "ACCESS_TOKEN": person.tokens["access_token"],
        "REFRESH_TOKEN": person.tokens["refresh_token"],
        "METRICS_TOKEN": "none",
        "PATH": "/usr/bin:/bin",
    }
    program("curl")
    for name, source in given.items():
        shell = ["bash", "-c", source.replace("curl ", say, 1)]
        done = subprocess.run(shell, env=tokens, capture_output=True, text=True, check=True)
        body, _, status = done.stdout.rstrip("\n").rpartition("\n")
        assert status in OPERATIONS[name]["responses"], (name, status)
        if status >= "400":
            assert json.loads(body)["code"] not in REFUSALS, (name, body)
        if name in {"logout", "refresh"}:
            again = person.server.sign_in(ANNA["email"], ANNA["password"]).tokens
            tokens |= {
                "ACCESS_TOKEN": again["access_token"],
                "REFRESH_TOKEN": again["refresh_token"],
            }


def test_the_samples_in_python_run(person: Person, sdk: Any) -> None:
    refused = {}
    given = in_order(samples("Python", person.server.url))
    for name, source in given.items():
        variables: dict[str, Any] = {}
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(source, variables)
        except sdk.ApiError as error:
            refused[name] = error
        variables[FACADE.lower()].close()
    for name, error in refused.items():
        assert str(error.status) in OPERATIONS[name]["responses"], name
        assert error.code not in REFUSALS, (name, error)
    assert len(given) - len(refused) > 20


def test_the_samples_in_typescript_run(person: Person, clients: Path, tmp_path: Path) -> None:
    given = in_order(samples("TypeScript", person.server.url))
    (tmp_path / "node_modules").symlink_to(clients / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for name, source in given.items():
        (tmp_path / f"{name}.ts").write_text(source)
    (tmp_path / "run.mjs").write_text(RUN)
    printed = run(BIN / "node", "run.mjs", *given, cwd=tmp_path)
    said = dict(line.split(" ", 1) for line in printed.splitlines())
    codes = set(specification.document["components"]["schemas"]["ProblemCode"]["enum"])
    assert said.keys() == given.keys()
    assert {name: text for name, text in said.items() if text not in codes | {"done"}} == {}
    assert not REFUSALS & set(said.values())
    assert list(said.values()).count("done") > 20
