"""Signed tokens: computation alone, without a database, tells which user is asking."""

from __future__ import annotations

import hmac
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jwt
from jwt.types import Options

from service.engine.problems import InvalidToken, TokenExpired
from service.engine.tokens.keys import KeyRing, SigningKey

ACCESS = "at+jwt"  # RFC 9068, section 2.1
REFRESH = "rt+jwt"
PERSONAL = "personal"  # opaque, so what such a token says is in the database: see personal.py
# The claims with the generation: two names, so that no type is mistaken for the other.
GENERATION = {ACCESS: "pair", REFRESH: "gen"}

_MAX_TOKEN_CHARACTERS = 2048
_MAX_CACHED_TOKENS = 4096
_COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)  # RFC 7515, section 7.1: no padding
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OPTIONS: Options = {
    "require": ["iss", "aud", "sub", "sid", "iat", "exp", "jti"],
    "strict_aud": True,
    "verify_exp": False,  # checked at each use instead, cached or not, with our own clock
    "verify_iat": False,  # another server's clock may be a second ahead
}


class Authentication(NamedTuple):
    """When and how the user of a session proved who they are (RFC 9068, section 2.2.1).

    `time` in seconds since 1970 is the claim `auth_time`, `methods` (RFC 8176) are `amr`, and
    `level` is `acr`.
    """

    time: int
    methods: tuple[str, ...]
    level: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says: UUID strings, `expires_at` in seconds since 1970, `id` its jti.

    `typ` is ACCESS or REFRESH. `generation` is the refresh counter of the session, or None in an
    access token from a version that did not store it. `authentication` is None in a refresh token,
    and in an access token that does not say when the user signed in. `by_cookie` says that the
    token was in a cookie.

    A personal token, of `typ` PERSONAL, says only its hash, here `id` and, as if it were one,
    `session_id`; its `subject` is empty until the database has been asked.
    """

    subject: str
    session_id: str
    expires_at: int
    generation: int | None
    id: str
    typ: str
    authentication: Authentication | None = None
    by_cookie: bool = False

    @property
    def is_personal(self) -> bool:
        return self.typ == PERSONAL

    def of(self, user_id: str) -> Claims:
        """The claims of a personal token once its user is known."""
        return Claims(user_id, self.session_id, 0, None, self.id, self.typ)

    @property
    def holder(self) -> str:
        """Under what limits count the caller: the user, or the personal token itself, so that a
        program that runs wild does not lock out its owner."""
        return self.id if self.is_personal else self.subject


class Tokens:
    """Issues and verifies tokens (RFC 8725); verified ones are cached until the keys change."""

    def __init__(
        self, ring: KeyRing, *, issuer: str, audience: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._ring, self._issuer, self._audience, self._clock = ring, issuer, audience, clock
        self._verified: tuple[Mapping[str, SigningKey], dict[tuple[str, str], Claims]] = (
            ring.keys,
            {},
        )
        self._lock = threading.Lock()

    def access(
        self,
        subject: str,
        session_id: str,
        generation: int,
        ttl: int,
        authentication: Authentication | None = None,
    ) -> str:
        """An access token for `ttl` seconds; using it proves that its token pair arrived."""
        said = authentication and {
            "auth_time": authentication.time,
            "amr": authentication.methods,
            "acr": authentication.level,
        }
        return self._signed(ACCESS, subject, session_id, generation, ttl, said or {})

    def refresh(self, subject: str, session_id: str, generation: int, ttl: int) -> str:
        """A refresh token for `ttl` seconds, good while the session is at `generation`."""
        return self._signed(REFRESH, subject, session_id, generation, ttl)

    def verify(self, token: str, typ: str) -> Claims:
        """The claims of `token`, if it is of type `typ`, intact, ours and not expired (leeway 0).

        Raises TokenExpired or InvalidToken, and nothing else, whatever the string is.
        """
        keys = self._ring.current()
        known, verified = self._verified
        if known is not keys:
            verified = {}
            self._verified = (keys, verified)
        claims = verified.get((typ, token))
        if claims is None:
            claims = self._checked(token, typ)
            with self._lock:
                if len(verified) >= _MAX_CACHED_TOKENS:
                    del verified[next(iter(verified))]
                verified[typ, token] = claims
        if claims.expires_at <= self._clock():
            raise TokenExpired
        return claims

    def fingerprints(self, data: bytes) -> list[str]:
        """Keyed hashes of `data`, HMAC-SHA-256 in hex: one for each key, that of the signing key
        last."""
        signs = self._ring.newest()
        keys = [*(key for key in self._ring.keys.values() if key.kid != signs.kid), signs]
        return [hmac.digest(key.secret, data, "sha256").hex() for key in keys]

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JWK set (RFC 7517, section 5)."""
        return self._ring.jwks()

    def _signed(
        self,
        typ: str,
        subject: str,
        session_id: str,
        generation: int,
        ttl: int,
        more: Mapping[str, Any] | None = None,
    ) -> str:
        now = int(self._clock())
        payload = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject,
            "sid": session_id,
            "iat": now,
            "exp": now + ttl,
            "jti": secrets.token_urlsafe(16),
            GENERATION[typ]: generation,
            **(more or {}),
        }
        key = self._ring.newest()
        headers = {"typ": typ, "kid": key.kid}
        return jwt.encode(payload, key.private, algorithm=key.algorithm, headers=headers)

    def _checked(self, token: str, typ: str) -> Claims:
        if len(token) > _MAX_TOKEN_CHARACTERS or not _COMPACT.fullmatch(token):
            raise InvalidToken
        try:
            header = jwt.get_unverified_header(token)
            # Only these three: no crit or b64, and no jku, jwk or x5u, which can name another key.
            if header.keys() != {"alg", "kid", "typ"} or header["typ"] != typ:
                raise InvalidToken
            key = self._ring.find(header["kid"])
            if key is None:
                raise InvalidToken
            payload = jwt.decode(
                token,
                key.public,
                algorithms=[key.algorithm],
                options=_OPTIONS,
                issuer=self._issuer,
                audience=self._audience,
            )
            return _claims(payload, typ)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise InvalidToken from None


def _claims(payload: dict[str, Any], typ: str) -> Claims:
    generation = payload.get(GENERATION[typ])
    is_old = typ == ACCESS and GENERATION[typ] not in payload
    numbers = [payload["iat"], payload["exp"], *([] if is_old else [generation])]
    # `type`, because a bool is an int too; text is only accepted in the form of a UUID.
    if not all(type(number) is int and 0 <= number < 2**53 for number in numbers):
        raise InvalidToken
    if not all(_UUID.fullmatch(str(payload[name])) for name in ("sub", "sid")):
        raise InvalidToken
    said = _authentication(payload) if typ == ACCESS and "auth_time" in payload else None
    return Claims(
        payload["sub"], payload["sid"], payload["exp"], generation, payload["jti"], typ, said
    )


def _authentication(payload: dict[str, Any]) -> Authentication:
    moment, methods, level = (payload.get(name) for name in ("auth_time", "amr", "acr"))
    if not (type(moment) is int and 0 <= moment < 2**53):
        raise InvalidToken
    if not (isinstance(methods, list) and all(isinstance(one, str) for one in [*methods, level])):
        raise InvalidToken
    return Authentication(moment, tuple(methods), str(level))
