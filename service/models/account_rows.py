"""The columns of a user that make the Account of the specification."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

NAMES = (
    "id",
    "email",
    "email_verified",
    "username",
    "bio",
    "role",
    "disabled",
    "created_at",
    "updated_at",
)


def columns(user: Any) -> tuple[Any, ...]:
    """Those of a model."""
    return tuple(getattr(user, name) for name in NAMES)


def quick_columns(user: Any) -> tuple[Any, ...]:
    """Those that `account` takes, read with each request: its booleans as integers, which need no
    conversion on SQLite, and `version`."""
    quick = [
        sa.type_coerce(column, sa.Integer).label(column.key)
        if isinstance(column.type, sa.Boolean)
        else column
        for column in columns(user)
    ]
    return (*quick, user.version)


def account(row: Any) -> dict[str, Any]:
    """The Account of a row that has `quick_columns`."""
    found = {name: getattr(row, name) for name in NAMES}
    booleans = {name: bool(found[name]) for name in ("email_verified", "disabled")}
    return {"etag": tag(found["username"], row.version), **found, **booleans}


def tag(username: str, version: int) -> str:
    """The ETag of an Account. It names the user, because at /auth/me each user has another one."""
    return f"{username}.{version}"
