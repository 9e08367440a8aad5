"""Refusals that every operation shares come from each that documents them, and look as they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from service import application
from service.engine import assemble
from service.engine.http.front_door import MAX_BODY_BYTES
from service.specification import specification
from tests.kit.serving import Person, Server

ID = "01a20411-99fb-7f52-8c1d-e9604b7a35d2"
OPERATIONS: list[tuple[str, str, dict[str, Any]]] = [
    (method, path, operation)
    for path, item in specification.document["paths"].items()
    for method, operation in item.items()
]

Serve = Callable[..., Server]


def answers(
    caller: Person,
    status: int,
    *,
    query: dict[str, str] | None = None,
    content: bytes | None = None,
    media_type: str = "application/json",
    headers: dict[str, str] | None = None,
    but: Callable[[dict[str, Any]], Any] = lambda _: False,
) -> dict[str, httpx.Response]:
    """What the operations that document a status answer: to their examples, changed like this."""
    answers = {}
    for method, path, operation in OPERATIONS:
        if str(status) not in operation["responses"] or but(operation):
            continue
        name = operation["operationId"]
        token = caller.tokens["refresh_token" if name == "refresh" else "access_token"]
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        answer = caller.server.client(token, **{"If-Match": "*"}, **(headers or {})).request(
            method,
            "/".join(ID if part.startswith("{") else part for part in path.split("/")),
            params=({"q": "tea"} if name == "search_posts" else {}) | (query or {}),
            content=content or (orjson.dumps(body["example"]) if body else None),
            headers={"Content-Type": media_type} if body else None,
        )
        answers[name] = answer
    assert answers
    return answers


def refusals(caller: Person, status: int, **changed: Any) -> dict[str, tuple[int, str]]:
    """The status and the code of each of these answers."""
    found = answers(caller, status, **changed).items()
    return {name: (answer.status_code, answer.json()["code"]) for name, answer in found}


def test_every_operation_refuses_unknown_parameters(anna: Person) -> None:
    found = refusals(anna, 400, query={"nonsense": "1"}, but=lambda o: o.get("x-ignore-query"))
    assert set(found.values()) == {(400, "invalid-request")}, found


def test_every_operation_refuses_a_header_name_with_an_underscore(anna: Person) -> None:
    found = refusals(anna, 400, headers={"X_Forwarded_For": "192.0.2.1"})
    assert set(found.values()) == {(400, "bad-request")}, found


def test_every_operation_with_a_body_refuses_a_long_one(anna: Person) -> None:
    found = refusals(anna, 413, content=b" " * (MAX_BODY_BYTES + 1))
    assert set(found.values()) == {(413, "body-too-large")}, found


def test_every_operation_with_a_body_refuses_other_media_types(anna: Person) -> None:
    found = refusals(anna, 415, media_type="text/plain")
    assert set(found.values()) == {(415, "unsupported-media-type")}, found


def test_every_operation_refuses_a_client_over_its_limit(serve: Serve, anna: Person) -> None:
    server = serve(rate_limit_enabled=True, rate_limit_client="1 per minute")
    with server.client() as client:
        assert client.get("/").status_code == 200
    found = refusals(Person(server, anna.email, anna.password, anna.tokens), 429)
    assert set(found.values()) == {(429, "rate-limited")}, found


def test_every_operation_that_needs_a_thread_refuses_when_the_server_is_full(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = serve().sign_up()
    for work in ("REQUESTS", "HASHES", "SEARCHES", "SCRAPES"):
        room = f"MAX_{work}_IN_FLIGHT"
        module = assemble if hasattr(assemble, room) else application
        monkeypatch.setattr(module, room, 0)
    server = serve()  # on the same database and with the same keys
    found = refusals(
        Person(server, anna.email, anna.password, anna.tokens),
        503,
        but=lambda o: o["operationId"] == "get_readiness",  # which needs none
    )
    assert set(found.values()) == {(503, "unavailable")}, found
