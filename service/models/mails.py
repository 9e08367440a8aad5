"""Mails: the outbox. It holds mails to be sent, and sent ones as long as their token is valid."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.engine.database.distribution import on_coordinator
from service.engine.database.statements import Prepared, insertion
from service.engine.database.transaction import Row, db
from service.engine.database.types import Id, Time
from service.engine.ids import created_at, new_id, now, rfc3339
from service.models.ownership import declare
from service.models.users import User

EMAIL_CHANGE = "email-change"
EMAIL_CHANGE_NOTICE = "email-change-notice"
EMAIL_VERIFICATION = "email-verification"
FACTOR_RESET = "factor-reset"
INVITATION = "invitation"
PASSWORD_RESET = "password-reset"  # noqa: S105 # nosec B105 # the name of a kind
# Notices after the fact: see `outbox.notify`.
EMAIL_CHANGED = "email-changed"
EMAIL_CHANGED_BY_ADMIN = "email-changed-by-admin"
NEW_NETWORK = "new-network"
PASSKEY_ADDED = "passkey-added"
PASSKEY_REFUSED = "passkey-refused"
PASSKEY_REMOVED = "passkey-removed"
PASSWORD_CHANGED = "password-changed"  # noqa: S105 # nosec B105 # the name of a kind
FACTORS_RESET = "factors-reset"
RECOVERY_CODE_USED = "recovery-code-used"
RECOVERY_CODES_RENEWED = "recovery-codes-renewed"
SECOND_FACTOR_FAILED = "second-factor-failed"
SESSIONS_REUSED = "sessions-reused"
SIGN_IN_BLOCKED = "sign-in-blocked"
TOKEN_CREATED = "token-created"  # noqa: S105 # nosec B105 # the name of a kind
TOKEN_EXPIRING = "token-expiring"  # noqa: S105 # nosec B105 # the name of a kind
TOKEN_LEAKED = "token-leaked"  # noqa: S105 # nosec B105 # the name of a kind
TOTP_ADDED = "totp-added"
TOTP_REMOVED = "totp-removed"

# The kinds with a token, and its lifetime.
LIFETIMES = {
    EMAIL_CHANGE: timedelta(hours=24),
    EMAIL_CHANGED: timedelta(days=7),
    EMAIL_VERIFICATION: timedelta(hours=24),
    FACTOR_RESET: timedelta(hours=24),  # as long as `factor_resets.DELAY`
    INVITATION: timedelta(days=7),
    PASSWORD_RESET: timedelta(minutes=30),
}
# Tokens that outlive a new password and a newer mail of their kind: a thief could cause either.
LASTING = {EMAIL_CHANGED, FACTOR_RESET}
# Tokens that nothing revokes but the end of what they stop: an administrator could cause the rest.
UNREVOKED = {FACTOR_RESET}
# The kinds whose token sets a password.
OF_PASSWORDS = (INVITATION, PASSWORD_RESET)
TO_OWN_ADDRESS = {EMAIL_VERIFICATION, *OF_PASSWORDS}
FIRST_RETRY = timedelta(minutes=1)  # usually longer than an attempt takes; see `Mail.sent`
MAX_RETRY_DELAY = timedelta(minutes=15)


class Sending(NamedTuple):
    """A try at a mail that one process has taken on; `token` is None in a mail without.

    `facts` are what its template may say besides: see `outbox.put`.
    """

    id: str
    attempt: int
    kind: str
    recipient: str
    token: str | None
    facts: dict[str, Any]


class Mail(db.Model):  # type: ignore[name-defined,misc] # made at run time
    """A mail that waits to be sent from `due_at` on.

    If `due_at` is null, it was sent, and is kept for its token until `expires_at`. A mail without a
    user is for an address that nobody has; it takes the same steps as any other. `user_id` is no
    foreign key, because checking one would show in the time; `claim` notices deleted users.
    """

    __tablename__ = "mails"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str | None] = mapped_column(Id, index=True)
    kind: Mapped[str] = mapped_column(sa.String(30))
    recipient: Mapped[str] = mapped_column(sa.String(254))
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[str | None] = mapped_column(Time, index=True)
    token_hash: Mapped[str | None] = mapped_column(sa.CHAR(64), unique=True)
    expires_at: Mapped[str | None] = mapped_column(Time, index=True)
    facts: Mapped[str | None] = mapped_column(sa.Text)  # JSON; null in mails of older releases

    @classmethod
    def queue(
        cls,
        kind: str,
        recipient: str,
        user_id: str | None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Queue a mail, to be sent if this transaction is committed; earlier tokens of the same
        kind become invalid."""
        id_ = new_id()
        _insert.write(
            id=id_,
            user_id=user_id,
            kind=kind,
            recipient=recipient,
            attempts=0,
            due_at=now(),
            token_hash=None,
            expires_at=None,
            facts=json.dumps(facts or {}),
        )
        if kind in LIFETIMES and kind not in LASTING:
            _outdate.write(user=user_id, kind_=kind, of=id_, tries=1)

    @classmethod
    def due(cls) -> Row | None:
        """The mail that has been due for longest: (id, user_id, kind, recipient, attempts, facts),
        read outside of a transaction."""
        return _due.peek(moment=now())

    @classmethod
    def claim(cls, mail: Row) -> Sending | None:
        """Claim a due mail, with a new token; None if another process has claimed it, or nobody is
        to get it.

        It is due again after a while, so one whose sender dies is sent by another.
        """
        user = _addressee.first(id=mail.user_id)
        lifetime = LIFETIMES.get(mail.kind)
        token = secrets.token_urlsafe(32) if lifetime else None
        moment = datetime.now(UTC)
        claim = {
            "of": mail.id,
            "seen": mail.attempts,
            "retry": rfc3339(
                moment + min(FIRST_RETRY * 2 ** min(mail.attempts, 9), MAX_RETRY_DELAY)
            ),
            "hash": hashed(token) if token else None,
            "expiry": _expiry(mail, lifetime) if lifetime else None,
        }
        if not _claim.write(**claim):
            return None
        its_kind = {"user": mail.user_id, "kind_": mail.kind, "of": mail.id}
        replaces = token and mail.kind not in LASTING
        outdated = replaces and _newer.first(**its_kind)
        if outdated or not _is_wanted(mail, user):
            cls.drop(mail.id)
            return None
        if replaces:
            _outdate.write(**its_kind, tries=0)
        facts = json.loads(mail.facts or "{}")
        return Sending(mail.id, mail.attempts + 1, mail.kind, mail.recipient, token, facts)

    @classmethod
    def sent(cls, mail: Sending) -> None:
        """Keep a sent mail for its token, unless another attempt has made a new one; delete a mail
        without a token."""
        if mail.token:
            _sent.write(of=mail.id, seen=mail.attempt)
        else:
            cls.drop(mail.id)

    @classmethod
    def drop(cls, mail_id: str) -> None:
        """Delete a mail."""
        _drop.write(of=mail_id)

    @classmethod
    def waiting(cls) -> tuple[int, str | None]:
        """The number of mails to be sent (10 000 if there are more) and the id of the oldest."""
        row = _waiting.peek()
        return (row.number, row.oldest) if row else (0, None)


on_coordinator(Mail)
declare(Mail.user_id, export="a mail is in the user's mailbox, and holds a token until then")
_insert = insertion(Mail)
_due = Prepared(
    sa.select(Mail.id, Mail.user_id, Mail.kind, Mail.recipient, Mail.attempts, Mail.facts)
    .where(Mail.due_at <= bindparam("moment"))
    .order_by(Mail.due_at, Mail.id)
    .limit(1)
)
_addressee = Prepared(
    sa.select(User.email, User.email_verified, User.disabled)
    .where(User.id == bindparam("id"))
    .with_for_update()
)
_seen = sa.and_(Mail.id == bindparam("of"), Mail.attempts == bindparam("seen"))
_claim = Prepared(
    sa.update(Mail)
    .where(_seen)
    .values(
        attempts=Mail.attempts + 1,
        due_at=bindparam("retry"),
        token_hash=bindparam("hash"),
        expires_at=bindparam("expiry"),
    )
)
_its_kind = sa.and_(Mail.user_id == bindparam("user"), Mail.kind == bindparam("kind_"))
_newer = Prepared(
    sa.select(Mail.id).where(_its_kind, Mail.id > bindparam("of"), Mail.attempts > 0).limit(1)
)
_outdate = Prepared(
    sa.delete(Mail).where(_its_kind, Mail.id < bindparam("of"), Mail.attempts >= bindparam("tries"))
)
_outbox = (
    sa.select(sa.cast(Mail.id, sa.String).label("id"))
    .where(Mail.due_at.is_not(None))
    .order_by(Mail.due_at)
    .limit(10_000)
    .subquery()
)
_waiting = Prepared(
    sa.select(sa.func.count().label("number"), sa.func.min(_outbox.c.id).label("oldest"))
)
_sent = Prepared(sa.update(Mail).where(_seen).values(due_at=None, facts=None))
_drop = Prepared(sa.delete(Mail).where(Mail.id == bindparam("of")))


def _expiry(mail: Row, lifetime: timedelta) -> str:
    # The lifetime of a lasting token starts at the change, however late its mail is sent.
    lasts = mail.kind in LASTING
    since = datetime.fromisoformat(created_at(UUID(mail.id))) if lasts else datetime.now(UTC)
    return rfc3339(since + lifetime)


def _is_wanted(mail: Row, user: Row | None) -> bool:
    if user is None or user.disabled:
        return False
    if mail.kind == EMAIL_VERIFICATION and user.email_verified:
        return False
    # The address may have changed since the mail was requested: the old one gets nothing.
    return mail.kind not in TO_OWN_ADDRESS or bool(user.email == mail.recipient)


def hashed(token: str) -> str:
    """The stored hash of a token. A token has 256 random bits, so it needs no salt and no slow
    hash."""
    return hashlib.sha256(token.encode()).hexdigest()
