"""Each way in which an answer, or what is accepted, may leave the specification is noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from service.specification import specification
from tests.kit import traffic, verdict
from tests.kit.accounts import ANY
from tests.kit.drift import Judge, documented
from tests.kit.exports import give_events
from tests.kit.serving import Server, serving
from tests.kit.traffic import Exchange, Traffic

pytest_plugins = ["pytester"]

Change = Callable[[Exchange], Exchange]
NOWHERE = "01a20411-99fb-7f52-8c1d-e9604b7a35d2"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Traffic]]:
    """A server with a recording of its own, and some of everything in it."""
    kept = Traffic()
    with serving(tmp_path_factory.mktemp("traffic"), traffic=kept) as server:
        anna = server.sign_up()
        path = f"/api/users/{anna.id}"
        anna.http.patch(path, json={"bio": "Writes about tea."}, headers=ANY)
        user = anna.http.get(path)
        for method, target, headers in [
            ("HEAD", path, {}),
            ("GET", path, {"If-None-Match": user.headers["ETag"]}),
            ("GET", f"/api/users/{NOWHERE}", {}),
            ("GET", "/api/users?limit=5", {}),
            ("GET", "/api/audit-events?action=login", {}),
            ("GET", "/api/users?limit=many", {}),
            ("GET", "/auth/export", {}),
            ("GET", "/openapi.yaml", {}),
            ("GET", "/nowhere", {}),
            ("DELETE", path, {}),
            ("OPTIONS", path, {}),
        ]:
            anna.http.request(method, target, headers=headers)
        yield server, kept


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(specification.document)


def the(operation: str, status: int, recorded: tuple[Server, Traffic]) -> Exchange:
    """What was first recorded of an operation, answered in full."""
    return next(
        exchange
        for exchange in recorded[1].exchanges
        if (exchange.operation, exchange.status) == (operation, status)
        if exchange.method != "HEAD"
    )


def test_recorded_answers_fit_the_specification(
    recorded: tuple[Server, Traffic], judge: Judge
) -> None:
    assert judge.drift(recorded[1].exchanges) == []
    seen = {("register", 201), ("get_user", 304), ("get_user", 404), ("list_users", 400)}
    assert seen <= judge.answered < documented(specification.document)
    assert {exchange.method for exchange in recorded[1].exchanges} >= {"HEAD", "OPTIONS"}


def answer(**changes: Any) -> Change:
    """The answer with other fields; None takes one away."""
    return lambda exchange: replace(exchange, answer=_changed(exchange.answer, changes))


def body(**changes: Any) -> Change:
    return lambda exchange: replace(exchange, body=_changed(exchange.body, changes))


def headers(**changes: str | None) -> Change:
    """The answer with other headers; None takes one away."""
    return lambda exchange: replace(
        exchange, answer_headers=_headers(exchange.answer_headers, changes)
    )


def but(**changes: Any) -> Change:
    return lambda exchange: replace(exchange, **changes)


@pytest.mark.parametrize(
    ("operation", "status", "change", "fault"),
    [
        ("get_user", 200, but(status=202), "its status is not documented"),
        ("get_user", 404, but(status=409), "its status is not documented"),
        ("get_user", 200, headers(etag=None), "MissingRequiredHeader ETag"),
        ("register", 201, headers(location=None), "MissingRequiredHeader Location"),
        (
            "list_users",
            400,
            headers(**{"x-request-id": "a b"}),
            "InvalidHeader X-Request-Id: $ 'a b'",
        ),
        (
            "get_user",
            200,
            headers(**{"content-type": "text/html"}),
            "DataValidationError: Content for",
        ),
        ("get_user", 200, answer(secret="x"), "Additional properties"),
        ("get_user", 200, answer(username=None), "'username' is a required property"),
        ("get_user", 200, answer(id="7"), "$.id '7' is not a 'uuid'"),
        ("get_user", 200, answer(created_at="today"), "$.created_at 'today' is not a 'date-time'"),
        ("register", 201, answer(role="owner"), "'owner' is not one of"),
        ("register", 201, answer(disabled=0), "0 is not of type 'boolean'"),
        ("login", 200, answer(user={}), "'id' is a required property"),
        ("get_user", 404, answer(code="gone"), "'gone' is not one of"),
        ("get_user", 404, answer(trace="x"), "Additional properties"),
        ("get_user", 304, but(answer=b"{}"), "a body where there is none"),
        ("get_user", 200, but(method="HEAD"), "a body where there is none"),
        ("delete_user", 204, but(answer=b"{}"), "a body where there is none"),
        ("get_openapi_yaml", 200, but(answer=b"- 1"), "is not of type 'object'"),
        ("export_account", 200, but(answer=b'{"type":"session","id":"7"}\n'), "is not a 'uuid'"),
        ("", 404, answer(code=None), "'code' is a required property"),
        ("", 404, headers(**{"content-type": "text/plain"}), "it is no problem document"),
        ("", 404, but(status=200), "an answer where nothing is documented"),
        ("", 404, but(operation="get_user"), "openapi-core knows no such address"),
        ("get_user", 200, but(path="/auth/me"), "openapi-core takes it for get_me"),
        (
            "register",
            201,
            body(email=None),
            "accepted: InvalidRequestBody: $ 'email' is a required",
        ),
        ("register", 201, body(pinned=True), "('pinned' was unexpected)"),
        ("register", 201, body(username=""), "$.username '' does not match"),
        ("register", 201, but(body=b""), "accepted: MissingRequiredRequestBody"),
        ("register", 201, body(email="anna"), "$.email 'anna' is not a 'email'"),
        ("update_user", 200, but(headers=[]), "accepted: SecurityValidationError"),
        ("list_users", 200, but(query=b"limit=101"), "accepted: InvalidParameter limit: $ 101 is"),
        (
            "list_audit_events",
            200,
            but(query=b"action=x"),
            "accepted: InvalidParameter action: $ 'x'",
        ),
        ("list_users", 200, but(query=b"sort=title"), "accepted: unknown query parameters"),
        ("list_users", 200, but(query=b"limit=1&limit=1"), "accepted: a query parameter that"),
        ("list_users", 200, but(query=b"limit=%ED%A0%80"), "accepted: a query string that"),
        ("get_user", 200, but(path="/api/users/7"), "accepted: InvalidParameter user_id: $ '7'"),
        ("list_users", 400, but(query=b"limit=7"), "refused: limit type"),
    ],
)
def test_drift_is_found(
    operation: str,
    status: int,
    change: Change,
    fault: str,
    recorded: tuple[Server, Traffic],
    judge: Judge,
) -> None:
    exchange = the(operation, status, recorded)
    assert list(judge.faults(exchange)) == []
    assert fault in "\n".join(judge.faults(change(exchange)))


def test_the_first_few_of_a_kind_are_kept(recorded: tuple[Server, Traffic]) -> None:
    server, kept = recorded
    with server.client() as client:
        for number in range(2 * traffic.EACH):
            client.get("/api/users", params={"limit": number + 1})
            client.get("/api/users", params={"username": f"u-{number}"})
            client.get("/api/users", params={"limit": "many"})
    of_users = [exchange for exchange in kept.exchanges if exchange.path == "/api/users"]
    assert len(of_users) == 3 * traffic.EACH


def test_long_bodies_are_not_kept(recorded: tuple[Server, Traffic]) -> None:
    server, kept = recorded
    anna = server.sign_up()
    give_events(anna, 2 * traffic.LARGEST // 200)
    before = len(kept.exchanges)
    exported = anna.http.get("/auth/export").content
    assert len(exported) > traffic.LARGEST
    anna.post(content="\U0001f511" * (traffic.LARGEST // 4))  # posts
    assert len(kept.exchanges) == before


@pytest.mark.parametrize("processes", ["0", "1"])
def test_drift_fails_the_run_even_if_its_tests_pass(
    processes: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict, "SUITE", Traffic())
    pytester.makepyfile(
        """
        from tests.kit import traffic, verdict

        def test_a_run_without_drift_passes():
            verdict.SUITE.add(
                traffic.Exchange("get_me", "GET", "/auth/me", b"", [], b"", 204, [], b"")
            )
        """
    )
    options = ["-n", processes, "-p", "tests.kit.verdict", "-p", "no:randomly"]
    ended = pytester.runpytest_inprocess(*options)
    ended.assert_outcomes(passed=1)
    ended.stdout.fnmatch_lines(
        ["get_me GET /auth/me 204: its status is not documented", "1 recorded exchange*"]
    )
    assert ended.ret == pytest.ExitCode.TESTS_FAILED


def _changed(document: bytes, changes: dict[str, Any]) -> bytes:
    fields = orjson.loads(document) | changes
    return orjson.dumps({name: value for name, value in fields.items() if value is not None})


def _headers(pairs: traffic.Headers, changes: dict[str, str | None]) -> traffic.Headers:
    kept = [(name, value) for name, value in pairs if name.decode() not in changes]
    new = [(name.encode(), value.encode()) for name, value in changes.items() if value is not None]
    return kept + new
