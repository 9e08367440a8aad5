"""How a refresh token reaches its client: in the body of the answer, or in a cookie."""

from __future__ import annotations

from typing import Any

from service.engine.request import current_request
from service.engine.tokens.authority import authority
from service.engine.tokens.cookies import Cookie
from service.specification import specification

COOKIE = "cookie"  # the transport, as the specification names it

_cookie = Cookie.of(specification.document["components"]["securitySchemes"]["refreshCookie"])


def requested(body: dict[str, Any]) -> str | None:
    """The transport that a request asks for. Call it first: what is compared, used up or counted
    before a refusal would tell whether a password or a code was right.

    Raises `OriginNotAllowed` if the page that asks for the cookie could not use it. Otherwise a
    page of another origin might sign its visitors in to an account of its own.
    """
    transport: str | None = body.get("transport")
    if transport == COOKIE:
        authority().check_origin(current_request.get())
    return transport


def delivered(tokens: dict[str, Any], transport: str | None) -> Any:
    """The answer of a handler with these tokens, the refresh token in a cookie if the `requested`
    transport says so. Every operation that returns a refresh token returns it through here.
    """
    if transport != COOKIE:
        return tokens
    token = tokens.pop("refresh_token")
    return tokens, 200, {"Set-Cookie": _cookie.holding(token, tokens["refresh_expires_in"])}


def cleared() -> dict[str, str]:
    """The headers that remove the cookie."""
    return {"Set-Cookie": _cookie.cleared()}
