"""What a new account is made of, and what a change of one is called."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from service.domain import addresses, passwords

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def registration(
    email: str, password: str, username: str | None = None, role: str = "user", *, minimum: int
) -> dict[str, str]:
    """The columns of a new account that are not the same for all; takes about 20 ms.

    Raises InvalidRequest for the address, WeakPassword for a password under `minimum` or guessable.
    """
    addresses.checked(email)
    passwords.check_strength(password, minimum=minimum, email=email, username=username)
    return {
        "email": email,
        "email_key": addresses.key(email),
        "username": username or random_username(),
        "role": role,
        "password_hash": passwords.hashed(password),
    }


def random_username() -> str:
    """A user name such as `user-k3v7q2mzpa`: 50 random bits, and nothing of the address."""
    return "user-" + "".join(secrets.choice(_BASE32) for _ in range(10))


def events(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The audit actions for what became of an account's `role` and `disabled`."""
    actions = ["role-changed"] if after["role"] != before["role"] else []
    if after["disabled"] != before["disabled"]:
        actions.append("user-disabled" if after["disabled"] else "user-enabled")
    return actions
