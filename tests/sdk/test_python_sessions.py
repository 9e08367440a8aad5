"""The Python client renews tokens once for all threads, tasks and processes, whatever happens."""

from __future__ import annotations

import asyncio
import importlib
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from openapi.sdk.packages import MODULE
from tests.kit.fault_proxy import LOST, Fault, FaultProxy, script
from tests.kit.serving import PASSWORD, Person, Server, serving
from tests.kit.sessions import me

REFRESH = ("POST", "/auth/refresh")
BUSY = Fault("503")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """A server, and one with the same database whose access tokens last a second."""
    folder = tmp_path_factory.mktemp("servers")
    with serving(folder) as server, serving(folder, access_token_ttl=1) as briefly:
        yield server, briefly


@pytest.fixture
def service(servers: tuple[Server, Server]) -> Server:
    return servers[0]


@pytest.fixture
def proxy(service: Server) -> Iterator[FaultProxy]:
    with FaultProxy(service.url) as running:
        yield running


@pytest.fixture
def expired(servers: tuple[Server, Server]) -> Person:
    """Somebody whose access token has expired; their next ones will last."""
    person = servers[1].sign_up()
    while me(person.http, person.tokens).status_code == 200:
        time.sleep(0.05)
    return person


@pytest.fixture
def stored(sdk: Any) -> Callable[..., Any]:
    """A store with a person's tokens. To this machine's clock, the access token is good for so many
    seconds."""

    def make(person: Person, url: str, seconds: float) -> Any:
        store, then = sdk.MemoryStore(), time.time() + seconds
        pair = (person.tokens["access_token"], person.tokens["refresh_token"])
        store.save(sdk.Tokens(*pair, renew_at=then, expires_at=then, origin=url))
        return store

    return make


@pytest.fixture
def events() -> list[str]:
    return []


# Known to have expired, and not: then the service says so.
@pytest.mark.parametrize("seconds", [-1, 1000])
def test_fifty_threads_with_an_expired_token_refresh_once(
    seconds: int,
    expired: Person,
    proxy: FaultProxy,
    stored: Callable[..., Any],
    client: Callable[..., Any],
) -> None:
    byline = client(proxy.url, store=stored(expired, proxy.url, seconds))
    start, found = threading.Barrier(50), []

    def call() -> None:
        start.wait()
        found.append(byline.auth.get_me().email)

    threads = [threading.Thread(target=call) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expired.email] * 50
    assert len(proxy.asked(*REFRESH)) == 1


@pytest.mark.parametrize("seconds", [-1, 1000])
def test_fifty_tasks_with_an_expired_token_refresh_once(
    seconds: int,
    expired: Person,
    proxy: FaultProxy,
    stored: Callable[..., Any],
    async_client: Callable[..., Any],
) -> None:
    async def call() -> list[str]:
        store = stored(expired, proxy.url, seconds)
        async with async_client(proxy.url, store=store) as byline:
            answers = await asyncio.gather(*(byline.auth.get_me() for _ in range(50)))
            return [answer.email for answer in answers]

    assert asyncio.run(call()) == [expired.email] * 50
    assert len(proxy.asked(*REFRESH)) == 1


FORKING = """
import os, sys
from byline_client import Byline, FileStore

path, url, email = sys.argv[1:]
byline = Byline(url, store=FileStore(path))
byline.ops.get_liveness()  # the parent has a connection, which the children must not use
children = []
for _ in range(8):
    if (child := os.fork()) == 0:
        os._exit(byline.auth.get_me().email != email)
    children.append(child)
statuses = [os.waitpid(child, 0)[1] for child in children]
sys.exit(any(statuses) or byline.auth.get_me().email != email)
"""


def test_processes_that_share_a_file_refresh_once(
    expired: Person, proxy: FaultProxy, sdk: Any, stored: Any, clients: Path, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "tokens.json"
    sdk.FileStore(path).save(stored(expired, proxy.url, -1).load())
    command = [sys.executable, "-c", FORKING, path, proxy.url, expired.email]
    env = {"PYTHONPATH": str(clients / "site")}
    subprocess.run(command, env=env, check=True, timeout=60)
    assert len(proxy.asked(*REFRESH)) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {one.name for one in path.parent.iterdir()} == {"tokens.json", "tokens.json.lock"}


def test_a_program_that_starts_again_is_signed_in(
    service: Server, sdk: Any, client: Callable[..., Any], tmp_path: Path
) -> None:
    person, store = service.sign_up(), sdk.FileStore(tmp_path / "tokens.json")
    client(service.url, store=store).sign_in(person.email, PASSWORD)
    again = client(service.url, store=sdk.FileStore(tmp_path / "tokens.json"))
    assert again.auth.get_me().email == person.email
    again.sign_out()
    assert store.load() is None
    with pytest.raises(sdk.AuthenticationRequired):
        client(service.url, store=store).auth.get_me()


def test_a_client_finds_out_that_another_one_has_signed_in(
    service: Server, sdk: Any, client: Callable[..., Any], tmp_path: Path
) -> None:
    person, path = service.sign_up(), tmp_path / "tokens.json"
    one, other = (client(service.url, store=sdk.FileStore(path)) for _ in range(2))
    with pytest.raises(sdk.AuthenticationRequired):
        one.auth.get_me()
    other.sign_in(person.email, PASSWORD)
    assert one.auth.get_me().email == person.email
    other.sign_out()
    with pytest.raises(sdk.SessionRevoked):
        one.auth.get_me()


@pytest.mark.parametrize("content", ["", "{", "null", "[]", '{"access_token": 1}', "\xff"])
def test_a_file_that_is_something_else_is_nobodys_session(
    content: str, service: Server, sdk: Any, client: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(sdk.AuthenticationRequired):
        client(service.url, store=sdk.FileStore(path)).auth.get_me()


def test_tokens_are_sent_to_nobody_but_the_service_that_they_are_of(
    expired: Person, proxy: FaultProxy, sdk: Any, stored: Any, client: Callable[..., Any]
) -> None:
    byline = client(proxy.url, store=stored(expired, "https://elsewhere.example", 1000))
    with pytest.raises(sdk.AuthenticationRequired):
        byline.auth.get_me()
    byline.ops.get_liveness()
    assert {exchange.bearer for exchange in proxy.exchanges} == {None}


def test_a_lost_answer_to_a_refresh_is_asked_for_again(
    expired: Person, proxy: FaultProxy, stored: Any, client: Callable[..., Any], impatient: None
) -> None:
    proxy.plan = script("/auth/refresh", LOST, Fault("502", forwards=True))
    byline = client(proxy.url, store=stored(expired, proxy.url, -1))
    assert byline.auth.get_me().email == expired.email
    sent = [exchange.bearer for exchange in proxy.asked(*REFRESH)]
    assert sent == [f"Bearer {expired.tokens['refresh_token']}"] * 3


def test_a_refused_refresh_ends_the_session(
    expired: Person, proxy: FaultProxy, sdk: Any, stored: Any, client: Any, events: list[str]
) -> None:
    store = stored(expired, proxy.url, -1)
    byline = client(proxy.url, store=store, on_auth_change=events.append)
    httpx.post(
        f"{proxy.url}/auth/logout",
        headers={"Authorization": f"Bearer {expired.tokens['refresh_token']}"},
    ).raise_for_status()
    with pytest.raises(sdk.SessionRevoked):
        byline.auth.get_me()
    assert (store.load(), events) == (None, ["signed-out"])
    with pytest.raises(sdk.AuthenticationRequired):
        byline.auth.get_me()
    byline.sign_in(expired.email, PASSWORD)
    assert byline.auth.get_me().email == expired.email
    assert events == ["signed-out", "signed-in"]


def test_a_refresh_that_is_merely_busy_does_not_end_the_session(
    expired: Person,
    proxy: FaultProxy,
    sdk: Any,
    stored: Any,
    client: Any,
    events: list[str],
    impatient: None,
) -> None:
    proxy.plan, proxy.retry_after = script("/auth/refresh", *[BUSY] * 4, Fault("429")), "3600"
    byline = client(proxy.url, store=stored(expired, proxy.url, -1), on_auth_change=events.append)
    for error in (sdk.Unavailable, sdk.UnexpectedAnswer):
        with pytest.raises(error):
            byline.auth.get_me()
    assert events == []
    assert byline.auth.get_me().email == expired.email
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
