"""Every problem is a typed value in both clients: as documented, and as a server answers it."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import update

from service.engine.spec import refusals
from service.models import User
from service.models.passkeys import MAX_PASSKEYS_PER_USER
from service.models.personal_tokens import MAX_TOKENS_PER_USER
from service.specification import specification
from tests.kit import postgres
from tests.kit.generated_clients import node, run
from tests.kit.passkeys import add, added, authenticator, start
from tests.kit.personal_tokens import give
from tests.kit.second_factors import add_app
from tests.kit.serving import Server
from tests.kit.sessions import grow_old

HERE = Path(__file__).parent
SPEC = specification.document
CODES = set(SPEC["components"]["schemas"]["ProblemCode"]["enum"])
# No function of a client sends another method than its own, and none makes the server fail.
OUT_OF_REACH = {"method-not-allowed", "internal-error"}


def documented() -> Iterator[tuple[dict[str, Any], int, dict[str, Any]]]:
    """Each operation with each problem that it documents, as its example."""
    for path, item in SPEC["paths"].items():
        for operation in item.values():
            found = refusals.examples(operation, path, SPEC, specification.catalogue)
            for status, problems in found.items():
                for problem in problems:
                    yield operation, status, problem.document(refusals.REQUEST_ID)


@pytest.fixture
def addresses(serve: Callable[..., Server]) -> Iterator[list[str]]:
    """What problems.py and problems.ts want to be told."""
    limits = {"register": "1000 per hour", "login": "1000 per hour", "search": "1 per hour"}
    settings = {"trusted_hosts": "127.0.0.1", "user_quota": 50_000}
    server = serve(rate_limit_enabled=True, rate_limits=limits, **settings)
    strict = serve(access_token_ttl=1, require_verified_email=True)
    stuck = serve(database_url=(database := postgres.start()))
    admin = server.make_admin(server.sign_up())
    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        connection.execute("LOCK TABLE posts IN EXCLUSIVE MODE")
        factors = _passkeys(server) | _app(server)
        yield [server.url, strict.url, stuck.url, admin.email, json.dumps(factors)]


def _app(server: Server) -> dict[str, Any]:
    """Somebody with an authenticator app: their address, and their recovery codes."""
    app = add_app(server.sign_up())
    return {"email": app.person.email, "codes": app.recovery_codes}


def _passkeys(server: Server) -> dict[str, Any]:
    """What passkeys there are: a `credential` of one that is taken, the access token of
    somebody who is `full` of them, and that of a `lonely` owner of the last one, with its `id`.
    And the tokens of `_tokens`."""
    full, lonely, device = server.sign_up(), server.sign_up(), authenticator(server)
    credential = device.create(start(full))
    assert add(full, credential).status_code == 201
    for _ in range(MAX_PASSKEYS_PER_USER - 1):
        added(full, authenticator(server))
    passkey = added(lonely, authenticator(server))
    server.execute(update(User).where(User.id == lonely.id).values(password_hash=""))
    found = {"credential": credential, "full": full.tokens["access_token"]}
    found |= {"lonely": lonely.tokens["access_token"], "id": passkey["id"]}
    return found | _tokens(server)


def _tokens(server: Server) -> dict[str, str]:
    """The access token of a `stale` session, whose user has signed in long ago, and that of a
    `crowded` owner of as many personal tokens as there may be, with one of these, which is
    `scoped`."""
    stale, crowded = grow_old(server.sign_up()), server.sign_up()
    tokens = [give(crowded, "account:read") for _ in range(MAX_TOKENS_PER_USER)]
    return {
        "stale": stale.tokens["access_token"],
        "crowded": crowded.tokens["access_token"],
        "scoped": tokens[0],
    }


def test_every_documented_error_is_a_problem_in_python(
    clients: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(clients / "site")
    client = importlib.import_module("byline_client").Client(base_url="http://127.0.0.1")
    problem = importlib.import_module("byline_client.models").Problem
    pairs = list(documented())
    for operation, status, example in pairs:
        path = f"byline_client.api.{operation['tags'][0]}.{operation['operationId']}"
        parse = importlib.import_module(path)._parse_response
        parsed = parse(client=client, response=httpx.Response(status, json=example))
        assert isinstance(parsed, problem), (path, status)
        assert parsed.to_dict() == example
    assert len({status for _, status, _ in pairs}) > 10


def test_a_code_newer_than_the_python_client_is_a_problem_too(
    clients: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(clients / "site")
    problem = importlib.import_module("byline_client.models").Problem
    _, _, example = next(documented())
    parsed = problem.from_dict(example | {"code": "out-of-tea"})
    assert (parsed.code, parsed.status) == ("out-of-tea", 400)
    assert parsed.to_dict()["code"] == "out-of-tea"


def test_every_problem_of_a_server_comes_to_python(clients: Path, addresses: list[str]) -> None:
    codes = run(sys.executable, HERE / "problems.py", *addresses, PYTHONPATH=str(clients / "site"))
    assert set(codes.split()) == CODES - OUT_OF_REACH


def test_every_problem_of_a_server_comes_to_typescript(clients: Path, addresses: list[str]) -> None:
    codes = node(Path(shutil.copy(HERE / "problems.ts", clients)), *addresses)
    assert set(codes.split()) == CODES - OUT_OF_REACH
