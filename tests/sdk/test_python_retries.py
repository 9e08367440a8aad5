"""What the Python client sends again, how long it waits, and what it raises in the end."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from openapi.sdk.packages import MODULE
from tests.kit.fault_proxy import CUT, LOST, RESET, SILENCE, Fault, FaultProxy, script
from tests.kit.serving import PASSWORD, Person, Server

POSTS = "/api/posts"


@pytest.fixture
def anna(service: Server) -> Person:
    return service.sign_up()


@pytest.fixture
def hers(anna: Person, proxy: FaultProxy, client: Callable[..., Any], impatient: None) -> Any:
    """Anna's client, behind the proxy."""
    byline = client(proxy.url)
    byline.sign_in(anna.email, PASSWORD)
    return byline


@pytest.fixture
def waits(sdk: Any, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client wanted to wait; it does not."""
    found: list[float] = []
    threads = importlib.import_module(f"{MODULE}.runtime.threads")
    monkeypatch.setattr(threads, "time", SimpleNamespace(sleep=found.append))
    return found


def titles(byline: Any, anna: Person) -> list[str]:
    return [post.title for post in byline.posts.list(author_id=anna.id)]


@pytest.mark.parametrize(
    "fault", [RESET, LOST, CUT, Fault("502"), Fault("502", forwards=True), Fault("503")], ids=str
)
def test_a_post_whose_answer_is_lost_is_written_once(
    fault: Fault, hers: Any, proxy: FaultProxy, anna: Person
) -> None:
    proxy.plan = script(POSTS, fault, fault)
    post = hers.posts.create(title="Once", content="x")
    assert [each.id for each in hers.posts.list(author_id=anna.id)] == [post.id]
    sent = proxy.asked("POST", POSTS)
    assert (len(sent), len({exchange.key for exchange in sent})) == (3, 1)


def test_what_would_happen_twice_is_sent_once(hers: Any, proxy: FaultProxy, anna: Person) -> None:
    post = hers.posts.create(title="One", content="x")
    proxy.plan = script(f"{POSTS}/{post.id}", LOST)
    with pytest.raises(httpx.TransportError):
        hers.posts.update(post, title="Two")
    assert titles(hers, anna) == ["Two"]
    proxy.plan = script("/auth/password", LOST)
    with pytest.raises(httpx.TransportError):
        hers.auth.change_password(current_password=PASSWORD, new_password=PASSWORD[::-1])
    proxy.plan = script("/auth/login", Fault("502"))
    with pytest.raises(Exception, match="502"):
        hers.sign_in(anna.email, PASSWORD[::-1])
    assert len(proxy.asked("POST", "/auth/login")) == 2  # the first was the fixture's
    assert len(proxy.asked("PUT", "/auth/password")) == 1


def test_a_deletion_whose_answer_is_lost_is_no_error(
    hers: Any, sdk: Any, proxy: FaultProxy
) -> None:
    post = hers.posts.create(title="One", content="x")
    proxy.plan = script(f"{POSTS}/{post.id}", LOST)
    hers.posts.delete(post)
    with pytest.raises(sdk.NotFound):
        hers.posts.delete(post)


def test_the_key_of_a_request_that_is_still_at_work_is_waited_for(sdk: Any) -> None:
    exchange = importlib.import_module(f"{MODULE}.runtime.exchange")
    operation = importlib.import_module(f"{MODULE}.api.posts.create_post").OPERATION
    body = {"type": "/problems/x", "title": "x", "status": 409, "detail": "x", "instance": "x"}
    body |= {"code": "idempotency-key-in-use", "request_id": "x"}
    error = sdk.errors.problem_of(httpx.Response(409, json=body))
    assert exchange._pause(error, operation, attempt=1) is None
    assert exchange._pause(error, operation, attempt=2) is not None


def test_it_gives_up_after_three_more_attempts(hers: Any, sdk: Any, proxy: FaultProxy) -> None:
    proxy.plan = lambda exchange: Fault("503")
    with pytest.raises(sdk.Unavailable) as given_up:
        list(hers.posts.list())
    assert (given_up.value.status, len(proxy.asked("GET", POSTS))) == (503, 4)
    proxy.plan = lambda exchange: RESET
    with pytest.raises(httpx.TransportError):
        hers.posts.search(q="x")
    assert len(proxy.asked("GET", "/api/search")) == 4


@pytest.mark.parametrize("fault", [Fault("520"), Fault("401"), Fault("200")], ids=str)
def test_an_answer_that_is_not_the_services_is_raised_as_it_came(
    fault: Fault, hers: Any, sdk: Any, proxy: FaultProxy
) -> None:
    proxy.plan = script("/auth/me", fault)
    with pytest.raises(sdk.UnexpectedAnswer) as unexpected:
        hers.auth.get_me()
    assert unexpected.value.status == int(fault.name)
    assert (b"html" in unexpected.value.body) == (fault.name != "520")
    assert hers.auth.get_me()  # and nobody was signed out by it


def test_a_problem_with_another_status_than_its_answer_is_not_the_services(sdk: Any) -> None:
    body = {"type": "/problems/x", "title": "x", "status": 404, "detail": "x", "instance": "x"}
    body |= {"code": "not-found", "request_id": "x"}
    errors = [sdk.errors.problem_of(httpx.Response(status, json=body)) for status in (404, 403)]
    assert [type(error) for error in errors] == [sdk.NotFound, sdk.UnexpectedAnswer]
    assert errors[1].status == 403


def test_retry_after_is_obeyed(hers: Any, proxy: FaultProxy, waits: list[float]) -> None:
    proxy.plan, proxy.retry_after = script("/auth/me", Fault("429"), Fault("429")), "7"
    hers.auth.get_me()
    assert [int(seconds) for seconds in waits] == [7, 7]
    waits.clear()
    soon = datetime.now(UTC) + timedelta(seconds=30)
    proxy.plan, proxy.retry_after = script("/auth/me", Fault("429")), format_datetime(soon)
    hers.auth.get_me()
    assert len(waits) == 1
    assert 25 < waits[0] < 31


@pytest.mark.parametrize("value", ["61", format_datetime(datetime(2999, 1, 1, tzinfo=UTC))])
def test_a_long_wait_is_raised_instead(
    value: str, hers: Any, sdk: Any, proxy: FaultProxy, waits: list[float]
) -> None:
    proxy.plan, proxy.retry_after = script("/auth/me", Fault("429")), value
    with pytest.raises(sdk.UnexpectedAnswer) as busy:
        hers.auth.get_me()
    assert busy.value.retry_after > 60
    assert waits == []


@pytest.mark.parametrize(
    "value",
    ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "soon", "٣", ""],
)
def test_a_time_that_is_none_is_no_time_to_wait(
    value: str, sdk: Any, client: Callable[..., Any]
) -> None:
    headers = httpx.Headers([(b"Retry-After", value.encode())])
    busy = httpx.MockTransport(lambda _: httpx.Response(503, headers=headers))
    with httpx.Client(transport=busy) as http, pytest.raises(sdk.UnexpectedAnswer) as raised:
        client("http://service.test", http=http, retries=0).ops.get_readiness()
    assert raised.value.retry_after is None


def test_a_limit_of_the_service_says_how_long_to_wait(
    serve: Callable[..., Server], sdk: Any, client: Callable[..., Any]
) -> None:
    server = serve(rate_limit_enabled=True, rate_limits={"search": "1 per year"})
    byline = client(server.url)
    byline.posts.search(q="x")
    with pytest.raises(sdk.RateLimited) as limited:
        byline.posts.search(q="x")
    assert limited.value.retry_after > 60  # and so it is no retry that is refused


def test_pauses_grow_and_differ(sdk: Any) -> None:
    exchange = importlib.import_module(f"{MODULE}.runtime.exchange")
    operation = importlib.import_module(f"{MODULE}.api.posts.get_post").OPERATION
    error = httpx.ReadError("gone")
    for attempt, longest in ((1, 0.5), (2, 1), (3, 2), (9, 8)):
        pauses = [exchange._pause(error, operation, attempt) for _ in range(200)]
        assert longest / 2 < max(pauses) <= longest
        assert min(pauses) < longest / 4


@pytest.mark.parametrize("retries", [0, 1])
def test_no_answer_is_waited_for_for_ever(
    retries: int, proxy: FaultProxy, client: Callable[..., Any], impatient: None
) -> None:
    proxy.plan = lambda exchange: SILENCE
    byline = client(proxy.url, timeout=0.2, retries=retries)
    began = time.monotonic()
    with pytest.raises(httpx.TimeoutException):
        byline.posts.search(q="x")
    assert time.monotonic() - began < 5
    assert len(proxy.exchanges) == 1 + retries


def test_a_task_that_is_cancelled_lets_the_others_go_on(
    anna: Person, proxy: FaultProxy, async_client: Callable[..., Any], sdk: Any
) -> None:
    proxy.plan = script("/auth/refresh", SILENCE)
    store, then = sdk.MemoryStore(), time.time() - 1
    pair = (anna.tokens["access_token"], anna.tokens["refresh_token"])
    store.save(sdk.Tokens(*pair, renew_at=then, expires_at=then, origin=proxy.url))

    async def call() -> str:
        async with async_client(proxy.url, store=store) as byline:
            first, second = (asyncio.create_task(byline.auth.get_me()) for _ in range(2))
            while not proxy.asked("POST", "/auth/refresh"):
                await asyncio.sleep(0.01)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            return (await second).email

    assert asyncio.run(call()) == anna.email


def test_a_client_is_used_by_one_event_loop_after_another(
    anna: Person, async_client: Callable[..., Any]
) -> None:
    byline = async_client(anna.server.url)

    async def call() -> str:
        if byline._calls.session.keeper.tokens is None:
            await byline.sign_in(anna.email, PASSWORD)
        found = (await byline.auth.get_me()).email
        await byline.aclose()
        return found

    assert [asyncio.run(call()) for _ in range(2)] == [anna.email] * 2


def test_a_hook_that_fails_is_no_lost_request(
    proxy: FaultProxy, client: Callable[..., Any], impatient: None
) -> None:
    def hook(exchange: Any) -> None:
        raise httpx.ReadError("of the hook")

    with pytest.raises(httpx.ReadError, match="of the hook"):
        client(proxy.url, on_exchange=hook).ops.get_liveness()
    assert len(proxy.exchanges) == 1


def test_every_exchange_is_told(
    proxy: FaultProxy, client: Callable[..., Any], impatient: None
) -> None:
    seen: list[Any] = []
    byline = client(proxy.url, on_exchange=seen.append)
    proxy.plan = script("/health/live", RESET, Fault("502"))
    byline.ops.get_liveness()
    assert [(one.operation, one.method, one.attempt, one.status) for one in seen] == [
        ("ops.get_liveness", "GET", 1, None),
        ("ops.get_liveness", "GET", 2, 502),
        ("ops.get_liveness", "GET", 3, 200),
    ]
    assert isinstance(seen[0].error, httpx.TransportError)
    assert seen[2].request_id
    assert seen[2].url == f"{proxy.url}/health/live"
    assert all(one.seconds >= 0 for one in seen)
