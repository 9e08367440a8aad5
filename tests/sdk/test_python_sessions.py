"""The Python client renews tokens once for all threads, tasks and processes, whatever happens."""

from __future__ import annotations

import asyncio
import importlib
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from openapi.sdk.packages import MODULE
from tests.kit.fault_proxy import LOST, Fault, FaultProxy, script
from tests.kit.serving import PASSWORD, Person, Server

REFRESH = ("POST", "/auth/refresh")
BUSY = Fault("503")


@pytest.fixture
def events() -> list[str]:
    return []


# Known to have expired, and not: then the service says so.
@pytest.mark.parametrize("seconds", [-1, 1000])
def test_fifty_threads_with_an_expired_token_refresh_once(
    seconds: int,
    lapsed: Person,
    proxy: FaultProxy,
    stored: Callable[..., Any],
    client: Callable[..., Any],
) -> None:
    byline = client(proxy.url, store=stored(lapsed, proxy.url, seconds))
    start, found = threading.Barrier(50), []

    def call() -> None:
        start.wait()
        found.append(byline.auth.get_me().email)

    threads = [threading.Thread(target=call) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [lapsed.email] * 50
    assert len(proxy.asked(*REFRESH)) == 1


@pytest.mark.parametrize("seconds", [-1, 1000])
def test_fifty_tasks_with_an_expired_token_refresh_once(
    seconds: int,
    lapsed: Person,
    proxy: FaultProxy,
    stored: Callable[..., Any],
    async_client: Callable[..., Any],
) -> None:
    async def call() -> list[str]:
        store = stored(lapsed, proxy.url, seconds)
        async with async_client(proxy.url, store=store) as byline:
            answers = await asyncio.gather(*(byline.auth.get_me() for _ in range(50)))
            return [answer.email for answer in answers]

    assert asyncio.run(call()) == [lapsed.email] * 50
    assert len(proxy.asked(*REFRESH)) == 1


def test_a_lost_answer_to_a_refresh_is_asked_for_again(
    lapsed: Person, proxy: FaultProxy, stored: Any, client: Callable[..., Any], impatient: None
) -> None:
    proxy.plan = script("/auth/refresh", LOST, Fault("502", forwards=True))
    byline = client(proxy.url, store=stored(lapsed, proxy.url, -1))
    assert byline.auth.get_me().email == lapsed.email
    sent = [exchange.bearer for exchange in proxy.asked(*REFRESH)]
    assert sent == [f"Bearer {lapsed.tokens['refresh_token']}"] * 3


def test_a_refused_refresh_ends_the_session(
    lapsed: Person, proxy: FaultProxy, sdk: Any, stored: Any, client: Any, events: list[str]
) -> None:
    store = stored(lapsed, proxy.url, -1)
    byline = client(proxy.url, store=store, on_auth_change=events.append)
    httpx.post(
        f"{proxy.url}/auth/logout",
        headers={"Authorization": f"Bearer {lapsed.tokens['refresh_token']}"},
    ).raise_for_status()
    with pytest.raises(sdk.SessionRevoked):
        byline.auth.get_me()
    assert (store.load(), events) == (None, ["signed-out"])
    with pytest.raises(sdk.AuthenticationRequired):
        byline.auth.get_me()
    byline.sign_in(lapsed.email, PASSWORD)
    assert byline.auth.get_me().email == lapsed.email
    assert events == ["signed-out", "signed-in"]


def test_a_refresh_that_is_merely_busy_does_not_end_the_session(
    lapsed: Person,
    proxy: FaultProxy,
    sdk: Any,
    stored: Any,
    client: Any,
    events: list[str],
    impatient: None,
) -> None:
    proxy.plan, proxy.retry_after = script("/auth/refresh", *[BUSY] * 4, Fault("429")), "3600"
    byline = client(proxy.url, store=stored(lapsed, proxy.url, -1), on_auth_change=events.append)
    for error in (sdk.Unavailable, sdk.UnexpectedAnswer):
        with pytest.raises(error):
            byline.auth.get_me()
    assert events == []
    assert byline.auth.get_me().email == lapsed.email
    assert events == ["refreshed"]


def test_a_token_that_is_still_good_is_used_while_renewing_is_not_possible(
    service: Server, sdk: Any, client: Callable[..., Any]
) -> None:
    person = service.sign_up()
    store, now = sdk.MemoryStore(), time.time()
    pair = (person.tokens["access_token"], person.tokens["refresh_token"])
    with FaultProxy(service.url, script("/auth/refresh", BUSY, Fault("reset"), BUSY)) as proxy:
        store.save(sdk.Tokens(*pair, renew_at=now - 1, expires_at=now + 100, origin=proxy.url))
        byline = client(proxy.url, store=store)
        for _ in range(5):
            assert byline.auth.get_me().email == person.email
        assert len(proxy.asked(*REFRESH)) == 1  # and again in some seconds


def test_a_clock_that_is_wrong_does_no_harm(
    service: Server, client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = importlib.import_module(f"{MODULE}.runtime.keeper")
    for days in (-400, 400):
        clock = SimpleNamespace(
            time=lambda days=days: time.time() + days * 86_400, monotonic=time.monotonic
        )
        monkeypatch.setattr(keeper, "time", clock)
        person, seen = service.sign_up(), []
        byline = client(service.url, on_exchange=seen.append)
        byline.sign_in(person.email, PASSWORD)
        assert [byline.auth.get_me().email for _ in range(2)] == [person.email] * 2
        assert [one.operation for one in seen] == ["auth.login", *["auth.get_me"] * 2]
