"""A token in a cookie, for browsers: how it is set, read and cleared (RFC 6265)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from service.engine.problems import InvalidToken
from service.engine.request import Request

# Browsers accept such a cookie only over TLS, for all paths, and from this host itself: no other
# host of the site can set one.
_PREFIX = "__Host-"
# Out of reach of scripts, and sent only by pages of the same site. `Path=/` is what _PREFIX asks.
_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Strict"


class Cookie(NamedTuple):
    """A security scheme of the kind `apiKey` in a `cookie`: its name, and the `typ` of its tokens.

    What changes something must believe it only as `Authority.check_origin` allows.
    """

    name: str
    typ: str

    @classmethod
    def of(cls, scheme: Mapping[str, Any]) -> Self:
        """The cookie that a security scheme declares; ValueError if its name protects nothing."""
        if not scheme["name"].startswith(_PREFIX):
            raise ValueError(f"the cookie {scheme['name']} has to be named {_PREFIX}...")
        return cls(scheme["name"], scheme["x-token-type"])

    def read(self, request: Request) -> str:
        """The token in the request's cookie, or an empty string; raises `InvalidToken` if there are
        two such cookies, because one of them may be somebody else's (RFC 6265, section 8.6)."""
        header = request.header(b"cookie") or ""
        # Strip only spaces: a browser does not protect the prefix after any other white space.
        pairs = [pair.strip(" ").partition("=") for pair in header.split(";")]
        found = [value for name, _, value in pairs if name == self.name]
        if len(found) > 1:
            raise InvalidToken("The cookie was sent twice.")
        return found[0] if found else ""

    def holding(self, token: str, seconds: int) -> str:
        """The `Set-Cookie` that has a browser keep the token for so long."""
        return f"{self.name}={token}; {_ATTRIBUTES}; Max-Age={seconds}"

    def cleared(self) -> str:
        """The `Set-Cookie` that removes it. `Expires` is for proxies that drop a `Max-Age` of 0."""
        return f"{self.holding('', 0)}; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
