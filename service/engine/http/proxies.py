"""Who a client is when it comes through proxies that are trusted (TRUSTED_PROXIES).

Replaces uvicorn's middleware, which compares addresses that are mapped into IPv6 as they come and
takes whatever text X-Forwarded-For has for an address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from service.engine.http.networks import UNKNOWN, address
from service.engine.settings_types import UNIX

MAX_FORWARDED_ADDRESSES = 32  # read from the end: a client can add thousands
_WITH_PORT = re.compile(
    r"(?:\[(?P<six>[^\]]*:[^\]]*)\]|(?P<four>[0-9.]+))(?::[0-9]{1,5})?", re.ASCII
)


class Proxies:
    """Makes the client and the scheme of a request what a trusted proxy says they are.

    The client is the rightmost address of X-Forwarded-For that is not a trusted proxy's: what
    stands before it was written by somebody who is not believed.
    """

    def __init__(self, app: Any, *, trusted: Iterable[str]) -> None:
        self.app = app
        self._has_unix = UNIX in trusted
        self._networks = [ip_network(item) for item in trusted if item != UNIX]
        self._is_trusted = lru_cache(4096)(self._contains)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and self._is_proxy(scope["client"]):
            forwarded = [v for name, v in scope["headers"] if name == b"x-forwarded-for"]
            if forwarded and (client := self._client(b",".join(forwarded).decode("latin-1"))):
                scope["client"] = (client, 0)
            schemes = [v for name, v in scope["headers"] if name == b"x-forwarded-proto"]
            if schemes and schemes[-1] in {b"http", b"https"}:
                scope["scheme"] = schemes[-1].decode()
        await self.app(scope, receive, send)

    def _is_proxy(self, peer: tuple[str, int] | None) -> bool:
        if peer is None:
            return self._has_unix
        return self._is_trusted(address(peer[0]))

    def _client(self, chain: str) -> str | None:
        """The client at the end of a chain; None where no address is to be had."""
        client = None
        nearest = chain.rsplit(",", MAX_FORWARDED_ADDRESSES)[-MAX_FORWARDED_ADDRESSES:]
        for text in map(str.strip, reversed(nearest)):
            if not text:
                continue
            found = address_of(text)
            if found == UNKNOWN:
                break  # whatever stands before it may be forged
            client = found
            if not self._is_trusted(found):
                break
        return client

    def _contains(self, text: str) -> bool:
        return text != UNKNOWN and any(ip_address(text) in network for network in self._networks)


def address_of(text: str) -> str:
    """The address of `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80` in its one
    form, or `UNKNOWN`."""
    found = _WITH_PORT.fullmatch(text)
    return address((found["six"] or found["four"]) if found else text)
