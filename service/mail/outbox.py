"""Queues mails as rows of the request's transaction, to be sent once it is committed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import flask

from service.domain import addresses
from service.domain.mail_allowance import Limit, Sent, allows
from service.engine.database.transaction import after_commit
from service.engine.ids import created_at, now
from service.engine.limits.limits import limits
from service.engine.observe.metrics import Readings
from service.engine.request import current_request
from service.models import Mail, MailCount, UserAddress


def put(
    kind: str,
    recipient: str,
    user_id: UUID | str | None,
    *,
    even_if_too_many: bool = False,
    **facts: Any,
) -> bool:
    """Queue a mail of a kind of `models.mails` to a user, or to an unknown address.

    The mail may say when and from where it was requested, and whatever else is in `facts`. Returns
    False if the recipient has had too many; the answer must not differ, or it would reveal that.
    `even_if_too_many` is for mails without which an account is lost, and which strangers cannot
    cause.
    """
    if not _counted(kind, recipient, user_id, even_if_too_many=even_if_too_many):
        return False
    id_ = None if user_id is None else str(user_id)
    Mail.queue(kind, recipient, id_, {"at": now(), "ip": _origin(id_), **facts})
    after_commit(flask.current_app.extensions["delivery"].wake)
    return True


def notify(kind: str, user_id: UUID | str, **facts: Any) -> None:
    """Queue a notice of a change of an account, or of an attempt.

    It goes to the account's address only if that is verified, because an unverified address may not
    belong to the user.
    """
    if recipient := UserAddress.verified(user_id):
        put(kind, recipient, user_id, **facts)


def readings(app: flask.Flask) -> Readings:
    """The number of waiting mails and the age of the oldest; raises the database's errors."""
    with app.app_context():
        number, oldest = Mail.waiting()
    moment = datetime.now(UTC)
    since = datetime.fromisoformat(created_at(UUID(oldest))) if oldest else moment
    return {
        ("mails_waiting",): number,
        ("mails_oldest_seconds",): (moment - since).total_seconds(),
    }


def _counted(
    kind: str, recipient: str, user_id: UUID | str | None, *, even_if_too_many: bool
) -> bool:
    """Count a mail against its recipient; returns False, and counts nothing, if there are too
    many.

    A mail to an address that nobody has is never sent. It counts for that address alone and not for
    its mailbox, or strangers could use up what the owner of a variant may get.
    """
    limits_ = limits()
    if not limits_.enabled:
        return True
    of_one_kind = [Limit(*limit) for limit in limits_.amounts("mail")]
    in_all = [Limit(*limit) for limit in limits_.amounts("mail-total")]
    mailbox, nobodys = addresses.mailbox(recipient), f"nobody {addresses.key(recipient)}"
    counted, other = (nobodys, mailbox) if user_id is None else (mailbox, nobodys)
    # Both are read in either case, so that the time of the answer reveals nothing.
    sent, before_the_account = MailCount.locked(counted), MailCount.sent_to(other)
    log = [Sent(*mail) for mail in (sent if user_id is None else [*sent, *before_the_account])]
    moment = time.time()
    allowed = allows(kind, log, moment, of_one_kind=of_one_kind, in_all=in_all) or even_if_too_many
    if allowed:
        window = max(limit.seconds for limit in (*of_one_kind, *in_all))
        MailCount.add(counted, kind, sent, window=window)
    limits_.decided("mail", allowed)
    return allowed


def _origin(user_id: str | None) -> str:
    """The network address of the client; empty if it is unknown, or if the client acts on another
    user's account, as an administrator does."""
    request = current_request.get(None)
    if request is None or (request.claims and request.claims.subject != user_id):
        return ""
    try:
        # Only a valid address: a proxy may pass on any text, which would end up in a mail.
        return str(ip_address(request.client.ip))
    except ValueError:
        return ""
