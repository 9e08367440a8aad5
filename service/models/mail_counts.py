"""The recent mails to each recipient, counted over all processes.

A recipient is stored as a hash, so that no address is kept and unknown addresses are counted like
known ones.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.engine.database.distribution import on_coordinator
from service.engine.database.statements import Prepared
from service.engine.database.transaction import db
from service.engine.database.types import Time
from service.engine.ids import now, rfc3339


class MailCount(db.Model):  # type: ignore[name-defined,misc] # made at run time
    """`sent` is a JSON list of [kind, seconds since the epoch]."""

    __tablename__ = "mail_counts"

    recipient: Mapped[str] = mapped_column(sa.CHAR(64), primary_key=True)
    sent: Mapped[str] = mapped_column(sa.Text)
    expires_at: Mapped[str] = mapped_column(Time, index=True)

    @staticmethod
    def hashed(mailbox: str) -> str:
        """The hash under which a mailbox (of `domain.addresses`) is stored."""
        return hashlib.sha256(mailbox.encode()).hexdigest()

    @classmethod
    def locked(cls, mailbox: str) -> list[tuple[str, float]]:
        """The kinds and times of mails sent to this mailbox, locked until the transaction ends."""
        [row] = _locked.all(hash=cls.hashed(mailbox), moment=now())
        return [(kind, at) for kind, at in json.loads(row.sent)]

    @classmethod
    def sent_to(cls, mailbox: str) -> list[tuple[str, float]]:
        """The same without a lock."""
        row = _sent.first(hash=cls.hashed(mailbox))
        return [(kind, at) for kind, at in json.loads(row.sent)] if row else []

    @classmethod
    def add(
        cls, mailbox: str, kind: str, sent: Sequence[tuple[str, float]], *, window: int
    ) -> None:
        """Count one more mail, and drop those older than `window` seconds."""
        moment = time.time()
        recent = [*((k, at) for k, at in sent if at > moment - window), (kind, round(moment, 3))]
        expiry = rfc3339(datetime.now(UTC) + timedelta(seconds=window))
        _keep.write(hash=cls.hashed(mailbox), log=json.dumps(recent), expiry=expiry)


on_coordinator(MailCount)
# As text, because SQLAlchemy has an ON CONFLICT for each database and these two share one syntax.
_locked = Prepared(
    sa.text(
        "INSERT INTO mail_counts (recipient, sent, expires_at) VALUES (:hash, '[]', :moment)"
        " ON CONFLICT (recipient) DO UPDATE SET sent = mail_counts.sent RETURNING sent"
    )
    .bindparams(bindparam("moment", type_=Time))
    .columns(sa.column("sent", sa.Text))
)
_sent = Prepared(sa.select(MailCount.sent).where(MailCount.recipient == bindparam("hash")))
_keep = Prepared(
    sa.update(MailCount)
    .where(MailCount.recipient == bindparam("hash"))
    .values(sent=bindparam("log"), expires_at=bindparam("expiry"))
)
