"""Each way in which an answer, or what is accepted, may leave the specification is noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from service.specification import specification
from tests.kit import traffic, verdict
from tests.kit.drift import Judge, documented
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
        path = f"/api/posts/{anna.post()['id']}"
        post = anna.http.get(path)
        for method, target, headers in [
            ("HEAD", path, {}),
            ("GET", path, {"If-None-Match": post.headers["ETag"]}),
            ("GET", f"/api/posts/{NOWHERE}", {}),
            ("GET", "/api/posts?limit=5&order=oldest", {}),
            ("GET", "/api/posts?limit=many", {}),
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
    seen = {("register", 201), ("get_post", 304), ("get_post", 404), ("list_posts", 400)}
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
        ("get_post", 200, but(status=202), "its status is not documented"),
        ("get_post", 404, but(status=409), "its status is not documented"),
        ("get_post", 200, headers(etag=None), "MissingRequiredHeader ETag"),
        ("create_post", 201, headers(location=None), "MissingRequiredHeader Location"),
        (
            "list_posts",
            400,
            headers(**{"x-request-id": "a b"}),
            "InvalidHeader X-Request-Id: $ 'a b'",
        ),
        (
            "get_post",
            200,
            headers(**{"content-type": "text/html"}),
            "DataValidationError: Content for",
        ),
        ("get_post", 200, answer(secret="x"), "Additional properties"),
        ("get_post", 200, answer(title=None), "'title' is a required property"),
        ("get_post", 200, answer(id="7"), "$.id '7' is not a 'uuid'"),
        ("get_post", 200, answer(created_at="today"), "$.created_at 'today' is not a 'date-time'"),
        ("register", 201, answer(role="owner"), "'owner' is not one of"),
        ("register", 201, answer(disabled=0), "0 is not of type 'boolean'"),
        ("login", 200, answer(user={}), "'id' is a required property"),
        ("get_post", 404, answer(code="gone"), "'gone' is not one of"),
        ("get_post", 404, answer(trace="x"), "Additional properties"),
        ("get_post", 304, but(answer=b"{}"), "a body where there is none"),
        ("get_post", 200, but(method="HEAD"), "a body where there is none"),
        ("delete_post", 204, but(answer=b"{}"), "a body where there is none"),
        ("get_openapi_yaml", 200, but(answer=b"- 1"), "is not of type 'object'"),
        ("export_account", 200, but(answer=b'{"type":"post","id":"7"}\n'), "is not a 'uuid'"),
        ("", 404, answer(code=None), "'code' is a required property"),
        ("", 404, headers(**{"content-type": "text/plain"}), "it is no problem document"),
        ("", 404, but(status=200), "an answer where nothing is documented"),
        ("", 404, but(operation="get_post"), "openapi-core knows no such address"),
        ("get_post", 200, but(path="/auth/me"), "openapi-core takes it for get_me"),
        (
            "create_post",
            201,
            body(title=None),
            "accepted: InvalidRequestBody: $ 'title' is a required",
        ),
        ("create_post", 201, body(pinned=True), "('pinned' was unexpected)"),
        ("create_post", 201, body(title=""), "$.title '' should be non-empty"),
        ("create_post", 201, but(body=b""), "accepted: MissingRequiredRequestBody"),
        ("register", 201, body(email="anna"), "$.email 'anna' is not a 'email'"),
        ("create_post", 201, but(headers=[]), "accepted: SecurityValidationError"),
        ("list_posts", 200, but(query=b"limit=101"), "accepted: InvalidParameter limit: $ 101 is"),
        ("list_posts", 200, but(query=b"order=best"), "accepted: InvalidParameter order: $ 'best'"),
        ("list_posts", 200, but(query=b"sort=title"), "accepted: unknown query parameters"),
        ("list_posts", 200, but(query=b"limit=1&limit=1"), "accepted: a query parameter that"),
        ("list_posts", 200, but(query=b"limit=%ED%A0%80"), "accepted: a query string that"),
        ("get_post", 200, but(path="/api/posts/7"), "accepted: InvalidParameter post_id: $ '7'"),
        ("list_posts", 400, but(query=b"limit=7"), "refused: limit type"),
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
    for _ in range(3):
        anna.post(content="x" * (traffic.LARGEST // 2))
    before = len(kept.exchanges)
    exported = anna.http.get("/auth/export").content
    assert len(exported) > traffic.LARGEST
    anna.http.post("/api/posts", json={"title": "x", "content": "é" * traffic.LARGEST})
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
