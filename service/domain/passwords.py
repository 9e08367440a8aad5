"""The rules for passwords, and their hashing, so that a stolen table is of little use."""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from service.problems import WeakPassword

_MAX_CHARACTERS = 256
# OWASP's second choice: 19 MiB, two passes, one lane. Moving these makes stored hashes `outdated`.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, hash_len=32, salt_len=16)
# Zero salt and zero digest, but the parameters above: checking it takes as long as a real one.
_DUMMY = f"$argon2id$v=19$m=19456,t=2,p=1${'A' * 22}${'A' * 43}"


def normal(password: str) -> str:
    """The normalised form, which is measured, compared and hashed: NFKC (NIST SP 800-63B-4, section
    3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def hashed(password: str) -> str:
    """The Argon2id hash to store, in PHC string format; about 20 ms and 19 MiB."""
    return _hasher.hash(normal(password))


def matches(stored: str | None, password: str) -> bool:
    """Whether `password` is the one behind `stored`; False for a stored hash that is malformed.

    `None` (an unknown address) and an empty text (an account without a password) cost the time of
    a wrong password, so all look alike.
    """
    try:
        _hasher.verify(stored or _DUMMY, normal(password))
    except (VerificationError, ValueError):  # ValueError: no such hash, or text no UTF-8 can hold
        return False
    return bool(stored)


def outdated(stored: str) -> bool:
    """Whether `stored`, which has just matched, was made with parameters other than the current
    ones."""
    return _hasher.check_needs_rehash(stored)


def check_strength(password: str, *, minimum: int, email: str, username: str | None) -> None:
    """Raise WeakPassword, with the reason, if the password is too short, too long or guessable.

    `minimum` counts code points. No rules of composition (NIST SP 800-63B-4, section 3.1.1.2).
    """
    password = normal(password)
    if len(password) < minimum:
        raise WeakPassword(f"The password must have at least {minimum} characters.")
    if len(password) > _MAX_CHARACTERS:
        raise WeakPassword(f"The password must have at most {_MAX_CHARACTERS} characters.")
    guess = password.casefold()
    if guess in {_folded(email), _folded(email.rpartition("@")[0])}:
        raise WeakPassword("The password must not be the e-mail address or its first part.")
    if username is not None and guess == _folded(username):
        raise WeakPassword("The password must not be the user name.")
    if guess in _common():
        raise WeakPassword("The password is one of the most common ones; attackers try it first.")


def _folded(text: str) -> str:
    return normal(text).casefold()


@cache
def _common() -> frozenset[str]:
    # From zxcvbn's frequency list; its licence stands beside it.
    text = Path(__file__).with_name("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(text.split("\n"))
