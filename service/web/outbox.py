"""Mails that go out once the request is committed: they are rows of its own transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from uuid import UUID

import flask

from service.database import after_commit
from service.ids import created_at, now
from service.models import Mail, User
from service.web.call import KEY, Call
from service.web.metrics import Readings


def put(kind: str, recipient: str, user_id: UUID | str | None) -> None:
    """Queue a mail of a kind of `models.mails` to a user, or to an address that is nobody's.

    The mail may say when and from where it was asked for.
    """
    id_ = None if user_id is None else str(user_id)
    Mail.queue(kind, recipient, id_, {"at": now(), "ip": _origin(id_)})
    after_commit(flask.current_app.extensions["delivery"].wake)


def notify(kind: str, user_id: UUID | str) -> None:
    """Queue a notice of what has just been done to an account, or was tried.

    It goes to the account's address, and only if that is verified: until then nobody has proved
    that the address belongs to the user.
    """
    if recipient := User.verified_email(user_id):
        put(kind, recipient, user_id)


def readings(app: flask.Flask) -> Readings:
    """How many mails wait, and for how long the oldest has; raises the database's errors."""
    with app.app_context():
        number, oldest = Mail.waiting()
    moment = datetime.now(UTC)
    since = datetime.fromisoformat(created_at(UUID(oldest))) if oldest else moment
    return {
        ("byline_mails_waiting",): number,
        ("byline_mails_oldest_seconds",): (moment - since).total_seconds(),
    }


def _origin(user_id: str | None) -> str:
    """The address of the client that is being answered; empty when it is not known, or when the
    client acts on the account of somebody else, such as an administrator."""
    call: Call | None = flask.request.environ.get(KEY) if flask.has_request_context() else None
    if call is None or (call.claims and call.claims.subject != user_id):
        return ""
    try:
        # Only what is an address: a proxy may pass on any text, and a mail would carry it.
        return str(ip_address(call.client.ip))
    except ValueError:
        return ""
