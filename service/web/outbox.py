"""Mails that go out once the request is committed: they are rows of its own transaction."""

from __future__ import annotations

import flask

from service.database import after_commit
from service.models import Mail


def put(kind: str, recipient: str, user_id: str | None) -> None:
    """Queue a mail of a kind of `models.mails` to a user, or to an address that is nobody's."""
    Mail.queue(kind, recipient, user_id)
    after_commit(flask.current_app.extensions["delivery"].wake)
