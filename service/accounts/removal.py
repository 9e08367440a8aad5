"""Removes an account, in the same way for its owner, an admin and a dispute."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import flask

from service.caller import Caller
from service.engine.database.transaction import after_commit
from service.engine.observe.metrics import Readings
from service.models import Deletion, IdempotencyKey


def remove_account(
    user_id: UUID,
    caller: Caller,
    if_match: list[str] | None = None,
    *,
    name_rests: bool = True,
) -> None:
    """Remove an account and its data, if `caller` may: it is hidden by this request, and its rows
    are removed in the background.

    Raises `NotFound`, `Forbidden`, `PreconditionFailed` or `LastAdmin`.
    """
    Deletion.begin(user_id, caller, if_match, name_rests=name_rests)
    IdempotencyKey.forget_account(user_id)
    after_commit(flask.current_app.extensions["erasure"].wake)


def remove_disputed(owner: Caller | None) -> None:
    """Remove an account that was registered with somebody else's address.

    Its user name does not rest, because the owner of the address may want it.
    """
    if owner:
        remove_account(UUID(owner.id), owner, name_rests=False)


def readings(app: flask.Flask) -> Readings:
    """The number of deleted accounts that are not removed yet, and the age of the oldest; raises
    the database's errors."""
    with app.app_context():
        number, oldest = Deletion.waiting()
    now = datetime.now(UTC)
    since = datetime.fromisoformat(oldest) if oldest else now
    return {
        ("deletions_waiting",): number,
        ("deletions_oldest_seconds",): (now - since).total_seconds(),
    }
