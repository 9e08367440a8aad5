"""Where the Python client keeps tokens: over restarts, for several processes, for one service."""

from __future__ import annotations

import dataclasses
import json
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.fault_proxy import FaultProxy
from tests.kit.serving import PASSWORD, Person, Server

REFRESH = ("POST", "/auth/refresh")
URL, PROBLEM = "http://service.test", "application/problem+json"
REVOKED = {
    "type": "x",
    "title": "x",
    "status": 401,
    "detail": "x",
    "instance": "/x",
    "code": "session-revoked",
    "request_id": "1",
}


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
    lapsed: Person, proxy: FaultProxy, sdk: Any, stored: Any, clients: Path, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "tokens.json"
    sdk.FileStore(path).save(stored(lapsed, proxy.url, -1).load())
    command = [sys.executable, "-c", FORKING, path, proxy.url, lapsed.email]
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
    lapsed: Person, proxy: FaultProxy, sdk: Any, stored: Any, client: Callable[..., Any]
) -> None:
    byline = client(proxy.url, store=stored(lapsed, "https://elsewhere.example", 1000))
    with pytest.raises(sdk.AuthenticationRequired):
        byline.auth.get_me()
    byline.ops.get_liveness()
    assert {exchange.bearer for exchange in proxy.exchanges} == {None}


def test_clients_that_share_a_file_renew_in_turn(
    service: Server, sdk: Any, client: Callable[..., Any], tmp_path: Path
) -> None:
    person, path = service.sign_up(), tmp_path / "tokens.json"
    with FaultProxy(service.url) as proxy:
        clients = [client(proxy.url, store=sdk.FileStore(path)) for _ in range(4)]
        clients[0].sign_in(person.email, PASSWORD)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda one: one.auth.refresh(), clients * 4))
        sent = [exchange.bearer for exchange in proxy.reached(*REFRESH)]
        assert len(sent) == len(set(sent)) == 16  # no refresh token twice
        assert {one.auth.get_me().email for one in clients} == {person.email}


@pytest.mark.parametrize("returns", [False, True])
@pytest.mark.parametrize("shares", [False, True])
def test_a_call_is_sent_again_for_nobody_but_who_made_it(
    shares: bool,
    returns: bool,
    service: Server,
    sdk: Any,
    client: Callable[..., Any],
    tmp_path: Any,
) -> None:
    anna, bob, store = service.sign_up(), service.sign_up(), sdk.FileStore(tmp_path / "tokens.json")
    next_one, events = anna if returns else bob, []

    def change(exchange: Any) -> None:
        if exchange.status == 401:  # meanwhile, in another thread or process
            other.sign_in(next_one.email, PASSWORD)

    byline = client(service.url, store=store, on_exchange=change, on_auth_change=events.append)
    other = client(service.url, store=store) if shares else byline
    byline.sign_in(anna.email, PASSWORD)
    refresh = {"Authorization": f"Bearer {store.load().refresh_token}"}
    httpx.post(f"{service.url}/auth/logout", headers=refresh).raise_for_status()
    if returns:
        assert byline.posts.create(title="By Anna", content="x").author.username == anna.username
    else:
        with pytest.raises(sdk.SessionRevoked):
            byline.posts.create(title="By Anna", content="x")
        assert list(byline.posts.list(author_id=bob.id)) == []
    assert byline.auth.get_me().email == next_one.email
    assert events == ["signed-in", "refreshed" if shares and returns else "signed-in"]


@pytest.mark.parametrize(
    ("before", "after", "sent"),
    [
        ("one", "one", ["Bearer old", "Bearer new"]),
        ("one", "other", ["Bearer old"]),
        ("", "", ["Bearer old", "Bearer new"]),  # a store of one's own that does not keep it
        ("", "other", ["Bearer old"]),
    ],
)
def test_whose_tokens_without_claims_are_is_known_by_their_session(
    before: str, after: str, sent: list[str], sdk: Any, client: Callable[..., Any]
) -> None:
    store, later, seen = sdk.MemoryStore(), time.time() + 1000, []
    store.save(sdk.Tokens("old", "r", later, later, URL, before))

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        store.save(sdk.Tokens("new", "r", later, later, URL, after))
        if len(seen) == 2:
            return httpx.Response(204)
        return httpx.Response(401, json=REVOKED, headers={"Content-Type": PROBLEM})

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        byline = client(URL, store=store, http=http)
        with suppress(sdk.SessionRevoked):
            byline.posts.delete("0199c1ab-2f4e-7d1c-8a3b-5e6f70819203")
    assert seen == sent


def test_a_file_of_an_older_version_is_read(sdk: Any) -> None:
    tokens = sdk.Tokens("a", "r", 1.0, 2.0, URL, "one")
    text = json.loads(tokens.to_json())
    assert sdk.Tokens.from_json(json.dumps(text)) == tokens
    del text["session"]
    assert sdk.Tokens.from_json(json.dumps(text)) == dataclasses.replace(tokens, session="")


def test_a_store_that_fails_does_not_end_the_session(
    lapsed: Person, proxy: FaultProxy, sdk: Any, stored: Any, client: Callable[..., Any]
) -> None:
    class Full(sdk.MemoryStore):
        full = False

        def save(self, tokens: Any) -> None:
            if self.full:
                raise OSError("No space left on device")
            super().save(tokens)

    store = Full()
    store.save(stored(lapsed, proxy.url, -1).load())
    byline, store.full = client(proxy.url, store=store), True
    with pytest.raises(OSError, match="No space"):
        byline.auth.get_me()
    assert byline.auth.get_me().email == lapsed.email
    byline.auth.revoke_other_sessions()
    with pytest.raises(OSError, match="No space"):
        byline.auth.refresh()
    keeper = byline._calls.session.keeper
    keeper.tokens = dataclasses.replace(keeper.tokens, renew_at=0)
    store.full = False
    assert byline.auth.get_me().email == lapsed.email
    sent = [exchange.bearer for exchange in proxy.reached(*REFRESH)]
    assert len(set(sent)) == len(sent) == 3  # each refresh token once, and in turn
    assert store.load().access_token == keeper.tokens.access_token
