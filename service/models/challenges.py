"""Challenges: what a client must answer within five minutes, once, to finish what it has begun."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.engine.database.distribution import on_coordinator
from service.engine.database.statements import Prepared, insertion
from service.engine.database.transaction import Row, db
from service.engine.database.types import Id, Time
from service.engine.ids import now, rfc3339
from service.models.mails import hashed
from service.models.ownership import declare

LIFETIME = timedelta(minutes=5)
MAX_TRIES = 5  # then the client has to begin again
_ROWS_SWEPT = 10  # expired rows that a new challenge removes: more than it adds

# Purposes: a challenge is good for one of them.
SECOND_FACTOR = "second-factor"
NEW_PASSKEY = "new-passkey"
PASSKEY_SIGN_IN = "passkey-sign-in"


class Challenge(db.Model):  # type: ignore[name-defined,misc] # made at run time
    """An opaque value that a client was given, of which only the hash is stored.

    `user_id` is NULL while nobody knows who will answer. `data` is what the answer is compared
    with, such as the challenge that an authenticator signs.
    """

    __tablename__ = "challenges"

    value_hash: Mapped[str] = mapped_column(sa.CHAR(64), primary_key=True)
    purpose: Mapped[str] = mapped_column(sa.String(20))
    user_id: Mapped[str | None] = mapped_column(
        Id, sa.ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    data: Mapped[str] = mapped_column(sa.Text)
    tries: Mapped[int] = mapped_column(default=0)
    expires_at: Mapped[str] = mapped_column(Time, index=True)

    @classmethod
    def create(cls, purpose: str, user_id: UUID | str | None, data: str = "") -> str:
        """The value of a new challenge, with 256 random bits."""
        _sweep.write(moment=now())
        value = secrets.token_urlsafe(32)
        _insert.write(
            value_hash=hashed(value),
            purpose=purpose,
            user_id=user_id,
            data=data,
            tries=0,
            expires_at=rfc3339(datetime.now(UTC) + LIFETIME),
        )
        return value

    @classmethod
    def attempt(cls, value: str, purpose: str) -> Row | None:
        """Count a try, before the answer is compared; returns (user_id, data, tries), or None if
        the challenge is not valid or was tried `MAX_TRIES` times. Commit before a refusal, or the
        try is not counted."""
        return _attempt.first(hash=hashed(value), only=purpose, moment=now())

    @classmethod
    def use(cls, value: str, purpose: str) -> Row | None:
        """Use up a challenge; returns (user_id, data), or None if it is not valid. Of two requests
        at once, one gets it."""
        return _use.first(hash=hashed(value), only=purpose, moment=now())

    @classmethod
    def revoke_all(cls, user_id: UUID | str) -> None:
        """Remove the challenges of this user."""
        _revoke_all.write(of=user_id)

    @classmethod
    def revoke_sign_ins(cls, user_id: UUID | str) -> None:
        """Remove those of sign-ins of this user that wait for a second factor."""
        _revoke_sign_ins.write(of=user_id)


on_coordinator(Challenge)
declare(Challenge.user_id, export="a challenge is a secret for a few minutes")
_insert = insertion(Challenge)
_valid = sa.and_(
    Challenge.value_hash == bindparam("hash"),
    Challenge.purpose == bindparam("only"),
    Challenge.expires_at > bindparam("moment"),
)
_attempt = Prepared(
    sa.update(Challenge)
    .where(_valid, Challenge.tries < sa.literal_column(str(MAX_TRIES)))
    .values(tries=Challenge.tries + 1)
    .returning(Challenge.user_id, Challenge.data, Challenge.tries)
)
_use = Prepared(sa.delete(Challenge).where(_valid).returning(Challenge.user_id, Challenge.data))
_revoke_all = Prepared(sa.delete(Challenge).where(Challenge.user_id == bindparam("of")))
_revoke_sign_ins = Prepared(
    sa.delete(Challenge).where(
        Challenge.user_id == bindparam("of"), Challenge.purpose == SECOND_FACTOR
    )
)
_expired = (
    sa.select(Challenge.value_hash)
    .where(Challenge.expires_at <= bindparam("moment"))
    .limit(_ROWS_SWEPT)
    .with_for_update(skip_locked=True)
)
_sweep = Prepared(sa.delete(Challenge).where(Challenge.value_hash.in_(_expired)))
