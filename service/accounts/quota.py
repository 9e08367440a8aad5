"""USER_QUOTA: how much a user may store, in bytes of text."""

from __future__ import annotations

import flask

from service.models.storage import Storage


def bytes_allowed() -> int:
    """How much a user may store."""
    quota: int = flask.current_app.config["USER_QUOTA"]
    return quota


def replace(before: Storage | None, size: int) -> None:
    """Count what was changed and has this size now; raises `QuotaExceeded` if it is too large."""
    if before is None:
        return
    growth = Storage(before.user_id, size - before.size)
    if growth.size > 0:
        growth.take(bytes_allowed())
    elif growth.size < 0:
        growth.add()
