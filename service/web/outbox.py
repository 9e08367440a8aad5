"""Mails that go out once the request is committed: they are rows of its own transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import flask

from service.database import after_commit
from service.ids import created_at
from service.models import Mail
from service.web.metrics import Readings


def put(kind: str, recipient: str, user_id: str | None) -> None:
    """Queue a mail of a kind of `models.mails` to a user, or to an address that is nobody's."""
    Mail.queue(kind, recipient, user_id)
    after_commit(flask.current_app.extensions["delivery"].wake)


def readings(app: flask.Flask) -> Readings:
    """How many mails wait, and for how long the oldest has; raises the database's errors."""
    with app.app_context():
        number, oldest = Mail.waiting()
    now = datetime.now(UTC)
    since = datetime.fromisoformat(created_at(UUID(oldest))) if oldest else now
    return {
        ("byline_mails_waiting",): number,
        ("byline_mails_oldest_seconds",): (now - since).total_seconds(),
    }
