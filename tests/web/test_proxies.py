"""The client's address is the one that trusted proxies report, however they write it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.engine.http.proxies import Proxies
from tests.kit.by_hand import on_unix_socket
from tests.kit.serving import PASSWORD, Person, Server, serving

PEER = "127.0.0.1"  # a trusted proxy, like 10.0.0.0/8 and 2001:db8:1::/48
CLIENT, SIX = "203.0.113.9", "2001:db8:2::9"
# Lines of X-Forwarded-For, and who the client is then.
CHAINS = [
    ([], PEER),
    ([""], PEER),
    ([", ,"], PEER),
    ([CLIENT], CLIENT),
    ([f"6.6.6.6,  {CLIENT}  ,\t10.1.2.3"], CLIENT),
    ([f"{CLIENT}:4711"], CLIENT),
    ([f"::ffff:{CLIENT}"], CLIENT),
    ([f"[::ffff:{CLIENT}]:4711"], CLIENT),
    (["::FFFF:cb00:7109"], CLIENT),
    ([SIX], SIX),
    (["2001:0DB8:0002:0:0:0:0:9"], SIX),
    ([f"[{SIX}]"], SIX),
    ([f"[{SIX}]:4711"], SIX),
    (["fe80::9%eth0"], "fe80::9"),
    # The rightmost that is not trusted.
    ([f"6.6.6.6, {CLIENT}"], CLIENT),
    ([f"6.6.6.6, {CLIENT}, 10.1.2.3"], CLIENT),
    ([f"6.6.6.6,{CLIENT},10.1.2.3:80,[2001:db8:1::1]:80,::ffff:10.9.9.9"], CLIENT),
    ([f"{CLIENT},"], CLIENT),
    (["6.6.6.6", CLIENT], CLIENT),
    ([CLIENT, "10.1.2.3"], CLIENT),
    ([CLIENT, ""], CLIENT),
    # Nobody but proxies: the one that is farthest away.
    (["10.1.2.3, 10.1.2.4"], "10.1.2.3"),
    (["::ffff:10.1.2.3"], "10.1.2.3"),
    # What is no address hides all that stands before it.
    (["unknown"], PEER),
    (["_hidden"], PEER),
    (["localhost"], PEER),
    ([f"for={CLIENT}"], PEER),
    ([f"{CLIENT} 10.1.2.3"], PEER),
    ([f"[{CLIENT}]"], PEER),
    ([f"{SIX}]"], PEER),
    ([f"[{SIX}"], PEER),
    ([f"{CLIENT}:port"], PEER),
    (["999.1.1.1"], PEER),
    (["010.1.2.3"], PEER),
    ([f"{CLIENT}\x07"], None),
    (["<script>"], PEER),
    (["x" * 9000], PEER),
    ([f"{CLIENT}, unknown"], PEER),
    ([f"{CLIENT}, unknown, 10.1.2.3"], "10.1.2.3"),
    ([f"unknown, {CLIENT}"], CLIENT),
    # Nobody has so many proxies; a client can write as many.
    ([f"{CLIENT}, " + "10.1.2.3, " * 3000 + "10.1.2.4"], "10.1.2.3"),
]


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Somebody who has registered at a server that believes 127.0.0.1."""
    trusted = "::ffff:127.0.0.0/104,10.0.0.0/8,2001:db8:1::/48"
    with serving(tmp_path_factory.mktemp("proxies"), trusted_proxies=trusted) as server:
        yield server.sign_up()


def seen(person: Person, headers: list[tuple[str, str]]) -> str | None:
    """The address that a session says it was begun from."""
    body = {"email": person.email, "password": PASSWORD}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    with person.server.client() as client:
        answer = client.post("/auth/login", json=body, headers=raw)
        if answer.status_code == 400:
            return None
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        [session] = [s for s in client.get("/auth/sessions", headers=bearer).json() if s["current"]]
        client.post("/auth/logout", headers=bearer)
    return str(session["ip"])


@pytest.mark.parametrize(("lines", "client"), CHAINS, ids=lambda value: str(value)[:60])
def test_the_client_is_the_rightmost_address_that_no_trusted_proxy_has(
    proxied: Person, lines: list[str], client: str | None
) -> None:
    headers = [("X-Forwarded-For", line) for line in lines]
    others = [("X-Real-IP", "6.6.6.6"), ("Forwarded", "for=6.6.6.6"), ("True-Client-IP", "6.6.6.6")]
    assert seen(proxied, headers + others) == client


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("10.1.2.3", CLIENT),
        ("::ffff:10.1.2.3", CLIENT),
        ("2001:db8:1::7", CLIENT),
        ("11.1.2.3", "11.1.2.3"),
        ("::ffff:11.1.2.3", "::ffff:11.1.2.3"),
        ("::10.1.2.3", "::10.1.2.3"),
        ("2001:db8:3::7", "2001:db8:3::7"),
    ],
)
def test_a_peer_on_a_socket_for_both_families_is_unmapped(peer: str, client: str) -> None:
    scopes: list[dict[str, Any]] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)

    proxies = Proxies(app, trusted=("10.0.0.0/8", "2001:db8:1::/48"))
    headers = [(b"x-forwarded-for", CLIENT.encode()), (b"x-forwarded-proto", b"https")]
    scope = {"type": "http", "client": (peer, 4711), "headers": headers, "scheme": "http"}
    asyncio.run(proxies(scope, None, None))
    assert scopes[0]["client"][0] == client
    assert scopes[0]["scheme"] == ("https" if client == CLIENT else "http")


@pytest.mark.parametrize(("trusted", "client"), [("unix:", CLIENT), ("10.0.0.0/8", ""), ("", "")])
def test_a_proxy_on_a_unix_socket_is_believed_when_the_setting_says_so(
    serve: Callable[..., Server], tmp_path: Path, trusted: str, client: str
) -> None:
    anna = serve().sign_up()
    settings = anna.server.settings.model_dump() | {"trusted_proxies": trusted}
    with on_unix_socket(tmp_path / "byline.sock", settings) as http:
        body = {"email": anna.email, "password": PASSWORD}
        answer = http.post("/auth/login", json=body, headers={"X-Forwarded-For": CLIENT})
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        found = http.get("/auth/sessions", headers=bearer).json()
    assert [s["ip"] or "" for s in found if s["current"]] == [client]
