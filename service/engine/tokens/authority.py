"""Checks bearer tokens by computation alone, without a database."""

from __future__ import annotations

import hmac
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import flask

from service.engine.http.networks import address
from service.engine.problems import (
    InvalidToken,
    NotFound,
    OriginNotAllowed,
    ScopeMissing,
    TokenExpired,
    Unauthorized,
)
from service.engine.request import Request
from service.engine.settings import BadConfiguration, EngineSettings
from service.engine.tokens.cookies import Cookie
from service.engine.tokens.keys import KeyRing, generate_key
from service.engine.tokens.personal import PersonalTokens
from service.engine.tokens.tokens import ACCESS, PERSONAL, REFRESH, Claims, Tokens

SCHEME = "Bearer"  # RFC 6750, in any case
SCRAPER = ("metrics",)  # for METRICS_TOKEN, the scheme metricsToken of the specification
TYPES = {ACCESS, REFRESH, PERSONAL, *SCRAPER}  # what `x-token-type` may say
_FORWARDED = (b"forwarded", b"via", b"x-forwarded-for", b"x-real-ip")  # set by proxies


class Authority:
    """Verifies this service's tokens, and decides whether a client may read the metrics.

    `personal` are its personal tokens, None if the specification has no scheme for them.
    """

    def __init__(self, app: flask.Flask, tokens: Tokens, settings: EngineSettings) -> None:
        self.tokens = tokens
        prefix = settings.specification.token_prefix
        self.personal = PersonalTokens(prefix) if prefix else None
        self._settings = settings
        app.extensions["authority"] = self

    def admit(
        self, request: Request, types: tuple[str, ...], cookie: Cookie | None = None
    ) -> Claims | None:
        """The claims of a user's token of these types, or None for a client of the metrics.

        The token may be in `cookie` instead, if there is no `Authorization`. Raises as
        `authenticate` does, `OriginNotAllowed` for a cookie that another page may have sent, or
        `NotFound` if the metrics are not exposed.
        """
        if types == SCRAPER:
            self._admit_scraper(request)
            return None
        if cookie and b"authorization" not in request.headers and (token := cookie.read(request)):
            self.check_origin(request)
            return replace(self.tokens.verify(token, cookie.typ), by_cookie=True)
        return self.authenticate(request, types)

    def authenticate(self, request: Request, types: tuple[str, ...]) -> Claims:
        """The claims of the request's bearer token, of one of these types (RFC 6750, section 2.1).

        Raises `Unauthorized` without a token, `InvalidToken` or `TokenExpired` with a bad one, and
        `ScopeMissing` for a personal token where only an access token will do, valid or not.
        """
        token = _bearer(request)
        if self.personal and token.startswith(self.personal.prefix):
            return self._personal(self.personal.claims(token), types)
        refused = InvalidToken()
        for typ in types:
            try:
                return self.tokens.verify(token, typ)
            except TokenExpired:
                raise
            except InvalidToken as error:
                refused = error
        raise refused

    def check_origin(self, request: Request) -> None:
        """Raise `OriginNotAllowed` unless a page sent the request that may use cookies: one of this
        origin, or of an origin that CORS_ORIGINS names.

        Browsers attach cookies to the requests of any page of the site, other ports and subdomains
        included, and let no page choose these two headers (Fetch Metadata, section 2.2).
        """
        if request.headers.get(b"sec-fetch-site") == b"same-origin":
            return
        origin = request.header(b"origin")
        if origin is None or origin == "*" or origin not in self._settings.cors_origins:
            raise OriginNotAllowed

    @staticmethod
    def _personal(claims: Claims, types: tuple[str, ...]) -> Claims:
        if PERSONAL in types:
            return claims
        raise ScopeMissing if ACCESS in types else InvalidToken

    def _admit_scraper(self, request: Request) -> None:
        """Admit a client that has METRICS_TOKEN. If that is not set, admit clients of this machine:
        those on a socket bound to a loopback address, without a proxy.

        Raises `NotFound`, `Unauthorized` or `InvalidToken`.
        """
        secret = self._settings.metrics_token
        if secret is None:
            if not (_is_loopback(self._settings.host) and _is_from_here(request)):
                raise NotFound
            return
        given, wanted = _bearer(request).encode("latin-1"), secret.get_secret_value().encode()
        if not hmac.compare_digest(given, wanted):
            raise InvalidToken

    def fingerprints(self, data: bytes) -> list[str]:
        """Keyed hashes under which the data may be stored, the one to store now last. Without the
        keys, nobody can find the data by trying."""
        return self.tokens.fingerprints(data)

    def jwks(self) -> dict[str, Any]:
        """The public keys (RFC 7517)."""
        return self.tokens.jwks()


def key_ring(settings: EngineSettings) -> KeyRing:
    """The keys of JWT_PRIVATE_KEY or JWT_KEYS_DIR; with SQLite, the first key is created.

    Raises `BadConfiguration`.
    """
    if settings.jwt_private_key:
        try:
            return KeyRing.from_pem(settings.jwt_private_key.get_secret_value())
        except ValueError as error:
            reason = str(error)
        raise BadConfiguration(f"JWT_PRIVATE_KEY cannot be used: {reason}")
    folder = settings.jwt_keys_dir
    try:
        if folder.exists():
            list(folder.iterdir())  # raises if it cannot be read; a glob would just find nothing
        ring = KeyRing.from_directory(folder)
        if not ring and settings.embedded:
            generate_key(folder)
            ring = KeyRing.from_directory(folder)
    except OSError as error:
        raise BadConfiguration(f"JWT_KEYS_DIR cannot be used: {error.strerror}") from None
    except ValueError as error:
        raise BadConfiguration(f"JWT_KEYS_DIR cannot be used: {error}") from None
    if not ring:
        raise BadConfiguration(
            "JWT_KEYS_DIR contains no key, and none is created for a production database: "
            f"run `{settings.specification.name} keys generate`, or set JWT_PRIVATE_KEY"
        )
    return ring


def authority() -> Authority:
    """The running application's authority."""
    found: Authority = flask.current_app.extensions["authority"]
    return found


def _bearer(request: Request) -> str:
    """The request's bearer token; raises `Unauthorized` when there is none."""
    header = request.header(b"authorization")
    if header is None:
        raise Unauthorized
    scheme, _, token = header.partition(" ")
    token = token.lstrip(" ")  # one or more spaces, no other white space (RFC 9110, section 11.4)
    if scheme.lower() != SCHEME.lower() or not token:
        raise Unauthorized
    return token


def _is_from_here(request: Request) -> bool:
    # uvicorn started by hand may listen elsewhere than at HOST: ask the connection.
    is_forwarded = any(name in request.headers for name in _FORWARDED)
    return not is_forwarded and _is_loopback(request.server[0]) and _is_loopback(request.ip)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(address(host)).is_loopback
    except ValueError:
        return host == "localhost"
