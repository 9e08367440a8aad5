"""USER_QUOTA: how much a user may store, in bytes of text."""

from __future__ import annotations

from typing import Any

import flask

from service.models.storage import Storage, text_bytes


def bytes_allowed() -> int:
    """How much a user may store."""
    quota: int = flask.current_app.config["USER_QUOTA"]
    return quota


def replace(before: Storage | None, post: dict[str, Any]) -> None:
    """Count a post that was changed; raises `QuotaExceeded` when it has become too large."""
    if before is None:
        return
    growth = Storage(before.user_id, text_bytes(post["title"], post["content"]) - before.size)
    if growth.size > 0:
        growth.take(bytes_allowed())
    elif growth.size < 0:
        growth.add()
