"""Personal tokens: opaque credentials for programs, which only a database can tell the owner of.

    <prefix><43 characters of chance><6 characters of checksum>

The middle is 32 random bytes, the end the CRC-32 of the middle's characters, both in base62. So a
scanner for secrets tells a token from any other text, and a mistyped one is refused without a
database. The design is GitHub's.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from functools import lru_cache

from service.engine.problems import InvalidToken
from service.engine.tokens.tokens import PERSONAL, Claims

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_BYTES, _RANDOM_CHARACTERS, _CHECKSUM_CHARACTERS = 32, 43, 6
_SHOWN_CHARACTERS = 4  # of the chance, by which an owner recognizes a token
_MAX_CACHED_TOKENS = 4096
_REST = re.compile(r"([0-9A-Za-z]{43})([0-9A-Za-z]{6})", re.ASCII)


class PersonalTokens:
    """Makes personal tokens with the prefix of the specification, and checks their form."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._checked = lru_cache(_MAX_CACHED_TOKENS)(self._check)  # 14 us otherwise

    def new(self) -> str:
        """A token that nobody has yet."""
        number = int.from_bytes(secrets.token_bytes(_RANDOM_BYTES))
        chance = _base62(number, _RANDOM_CHARACTERS)
        return self.prefix + chance + _checksum(chance)

    def shown(self, token: str) -> str:
        """The beginning of a token, for people: too little of it to guess the rest."""
        return token[: len(self.prefix) + _SHOWN_CHARACTERS]

    def claims(self, token: str) -> Claims:
        """What a token says by itself: only its hash. Raises `InvalidToken` unless prefix, length
        and checksum are right."""
        return self._checked(token)

    def _check(self, token: str) -> Claims:
        found = _REST.fullmatch(token, len(self.prefix))
        if not token.startswith(self.prefix) or not found or _checksum(found[1]) != found[2]:
            raise InvalidToken
        hash_ = hashed(token)
        return Claims("", hash_, 0, None, hash_, PERSONAL)


def hashed(token: str) -> str:
    """The hash to store instead of a token. It has 256 random bits, so it needs no salt and no slow
    hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def _checksum(chance: str) -> str:
    return _base62(zlib.crc32(chance.encode()), _CHECKSUM_CHARACTERS)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
