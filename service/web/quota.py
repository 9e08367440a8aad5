"""USER_QUOTA: how much a user may store, in bytes of text."""

from __future__ import annotations

from typing import Any

import flask

from service.models import Storage


def take(user_id: str, post: dict[str, Any]) -> None:
    """Count a new post; raises `QuotaExceeded` or `SessionRevoked`."""
    _take(Storage(user_id, _size(post)))


def replace(before: Storage | None, post: dict[str, Any]) -> None:
    """Count a post that was changed; raises `QuotaExceeded` when it has become too large."""
    if before is None:
        return
    growth = Storage(before.user_id, _size(post) - before.size)
    if growth.size > 0:
        _take(growth)
    elif growth.size < 0:
        growth.add()


def _take(storage: Storage) -> None:
    storage.take(flask.current_app.config["USER_QUOTA"])


def _size(post: dict[str, Any]) -> int:
    return len(post["title"].encode()) + len(post["content"].encode())
