"""The columns of a new or changed account, and the audit actions of a change."""

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
    """The columns of a new account that have no fixed value; takes about 20 ms.

    A role other than `user` must wait until the owner has confirmed the address.

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
    """The columns changed by the fields of a PATCH; raises InvalidRequest for a malformed
    address."""
    columns = dict(body)
    if "email" in body:
        email = addresses.checked(body["email"])
        columns |= {"email_key": addresses.key(email), "email_verified": False}
    if "role" in body:
        columns["invited_role"] = None  # this role overrides an earlier invitation
    return columns


def random_username() -> str:
    """A user name such as `user-k3v7q2mzpa`: 50 random bits, not derived from the address."""
    return "user-" + "".join(secrets.choice(_BASE32) for _ in range(10))


def events(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The audit actions for changes of an account's `role`, `disabled` and `email`."""
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
