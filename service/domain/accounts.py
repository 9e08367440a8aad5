"""What a new account is made of, and what a change of one is called."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from service.domain import addresses, passwords, usernames

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def registration(
    email: str,
    password: str | None = None,
    username: str | None = None,
    role: str = "user",
    *,
    minimum: int,
    product: str,
) -> dict[str, Any]:
    """The columns of a new account that are not the same for all; takes about 20 ms.

    Another role than `user` has to wait until the owner has proved the address.

    Raises InvalidRequest for the address or a reserved user name, WeakPassword for a password under
    `minimum` or guessable.
    """
    addresses.checked(email)
    if username is not None:
        usernames.check_is_free(username, product)
    if password is not None:
        passwords.check_strength(password, minimum=minimum, email=email, username=username)
    return {
        "email": email,
        "email_key": addresses.key(email),
        "username": username or random_username(),
        "invited_role": None if role == "user" else role,
        "password_hash": None if password is None else passwords.hashed(password),
    }


def changes(body: dict[str, Any]) -> dict[str, Any]:
    """The columns that the fields of a PATCH change; raises InvalidRequest for the address."""
    columns = dict(body)
    if "email" in body:
        email = addresses.checked(body["email"])
        columns |= {"email_key": addresses.key(email), "email_verified": False}
    if "role" in body:
        columns["invited_role"] = None  # this role counts, and no invitation from before
    return columns


def random_username() -> str:
    """A user name such as `user-k3v7q2mzpa`: 50 random bits, and nothing of the address."""
    return "user-" + "".join(secrets.choice(_BASE32) for _ in range(10))


def events(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The audit actions for what became of an account's `role`, `disabled` and `email`."""
    actions = ["role-changed"] if after["role"] != before["role"] else []
    if after["disabled"] != before["disabled"]:
        actions.append("user-disabled" if after["disabled"] else "user-enabled")
    if after["email"] != before["email"]:
        actions.append("email-changed")
    return actions


def becomes_admin(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a change of `role` or `disabled` has given an account an administrator's rights."""
    return _is_active_admin(after) and not _is_active_admin(before)


def _is_active_admin(account: Mapping[str, Any]) -> bool:
    return account["role"] == "admin" and not account["disabled"]
