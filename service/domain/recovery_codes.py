"""Recovery codes: what signs in without the device that makes codes. Each works once."""

from __future__ import annotations

import hashlib
import secrets

NUMBER = 10
GROUPS, GROUP_CHARACTERS = 4, 4  # of 5 bits each: 80 random bits, too many to try every hash
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32: no i, l, o and u
_AS_MEANT = str.maketrans("ilo", "110", " -")


def new_codes() -> list[str]:
    """Ten new codes, such as `4x2f-9kqm-07ra-btz5`."""
    return [_new_code() for _ in range(NUMBER)]


def hashed(user_id: str, code: str) -> str:
    """The stored hash of a user's code, however it was typed. A code has so many random bits that
    it needs no slow hash, and no key: it works when all keys are lost."""
    return hashlib.sha256(f"recovery {user_id} {normalized(code)}".encode()).hexdigest()


def normalized(code: str) -> str:
    """A code as it was given out, without its hyphens."""
    return code.lower().translate(_AS_MEANT)


def _new_code() -> str:
    groups = (
        "".join(secrets.choice(_ALPHABET) for _ in range(GROUP_CHARACTERS)) for _ in range(GROUPS)
    )
    return "-".join(groups)
