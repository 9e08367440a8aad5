"""The outermost check: refuses requests that no operation should see, before they use a thread."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from service.engine.http.hosts import TrustedHosts
from service.engine.limits.limits import Limits
from service.engine.problems import (
    BadRequest,
    BodyTooLarge,
    HeadersTooLarge,
    HostNotAllowed,
    NotFound,
)
from service.engine.request import SCOPE_KEY, Request

MAX_HEADER_BYTES = 32 * 1024  # of all names and values
MAX_HEADER_LINES = 100
MAX_BODY_BYTES = 1024 * 1024

_SINGLE = {
    b"authorization",
    b"content-length",
    b"content-type",
    b"host",
    b"idempotency-key",
    b"transfer-encoding",
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class FrontDoor:
    """Counts the client's request, then checks headers, host, path and announced length.

    `exempt` says of a path whether it is outside all limits; `hostless` are the paths that are
    answered whatever the Host.
    """

    def __init__(
        self,
        app: Any,
        *,
        hosts: tuple[str, ...],
        limits: Limits,
        exempt: Callable[[str], bool],
        hostless: frozenset[str],
    ) -> None:
        self.app = app
        self._hosts = TrustedHosts(hosts)
        self._limits = limits
        self._exempt = exempt
        self._hostless = hostless

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request: Request = scope[SCOPE_KEY]
        # Count first, so that requests refused below count as well.
        if not self._exempt(request.path):
            await self._limits.count_client(request)
        try:
            self._check(request, scope)
            await self.app(scope, receive, send)
        except Exception:
            await self._limits.settle(request)
            raise

    def _check(self, request: Request, scope: Any) -> None:
        request.headers = _headers(scope["headers"])
        if len(request.path) + len(request.query) > MAX_HEADER_BYTES:
            raise HeadersTooLarge
        if request.path not in self._hostless and not self._hosts.allow(
            request.headers.get(b"host")
        ):
            raise HostNotAllowed
        if _CONTROL.search(request.path):
            raise BadRequest("The path has control characters.")
        # An encoded slash is data, not a separator (RFC 3986, section 2.2): no path has one.
        if b"%2f" in scope.get("raw_path", b"").lower():
            raise NotFound
        _check_length(request.headers.get(b"content-length"))


def hostless(specification: dict[str, Any]) -> frozenset[str]:
    """The paths whose operations are answered whatever the Host."""
    return frozenset(
        path
        for path, item in specification["paths"].items()
        if all(o.get("x-any-host") for o in item.values() if isinstance(o, dict))
    )


def unlimited(specification: dict[str, Any], assets: Iterable[str]) -> Callable[[str], bool]:
    """A function that says whether a path is outside all limits; `assets` are, which explain what
    the operations are and why one refuses."""
    paths = {
        path
        for path, item in specification["paths"].items()
        if all(o.get("x-rate-limit") == "none" for o in item.values() if isinstance(o, dict))
    }
    return frozenset(paths.union(assets)).__contains__


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    size = 0
    if len(pairs) > MAX_HEADER_LINES:
        raise HeadersTooLarge
    for name, value in pairs:
        size += len(name) + len(value)
        if size > MAX_HEADER_BYTES:
            raise HeadersTooLarge
        if name in headers and name in _SINGLE:
            raise BadRequest("A header that may occur only once occurs twice.")
        # CGI, and so WSGI, cannot tell `x_y` from `x-y` (compare CVE-2015-0219).
        if b"_" in name:
            raise BadRequest("A header name has an underscore.")
        if name in headers:
            # A proxy may pass on as several lines what HTTP/2 split (RFC 9113, section 8.2.3).
            headers[name] += (b"; " if name == b"cookie" else b", ") + value
        else:
            headers[name] = value
    return headers


def _check_length(announced: bytes | None) -> None:
    if announced is not None:
        if not announced.isdigit():
            raise BadRequest("Content-Length is not a number.")
        if len(announced) > 15 or int(announced) > MAX_BODY_BYTES:
            raise BodyTooLarge
