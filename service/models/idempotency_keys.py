"""Answers kept for 24 hours under an Idempotency-Key, written in the transaction of the work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.engine.database.distribution import spread
from service.engine.database.statements import Prepared, insertion
from service.engine.database.transaction import Row, current, db
from service.engine.database.types import Id, Time
from service.engine.ids import now, rfc3339
from service.models.audit_events import AuditEvent
from service.models.ownership import declare
from service.models.storage import Storage, add_all

KEPT = timedelta(hours=24)


class IdempotencyKey(db.Model):  # type: ignore[name-defined,misc] # made at run time
    __tablename__ = "idempotency_keys"

    user_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    operation: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(sa.CHAR(64))
    status: Mapped[int]
    headers: Mapped[str] = mapped_column(sa.Text)
    body: Mapped[bytes]
    expires_at: Mapped[str] = mapped_column(Time, index=True)

    @classmethod
    def is_free(cls, user_id: str, operation: str, key: str) -> bool:
        """Whether no other request is using this key; always true on SQLite, which has one
        writer."""
        if current().dialect.name != "postgresql":
            return True
        claimed = _claim.first(name=f"{user_id} {operation} {key}")
        return bool(claimed and claimed[0])

    @classmethod
    def find(cls, user_id: str, operation: str, key: str) -> Row | None:
        """(fingerprint, status, headers, body) of the kept answer, unless it has expired."""
        return _find.first(user_id=user_id, operation=operation, key=key, moment=now())

    @classmethod
    def keep(cls, user_id: str, operation: str, key: str, **answer: Any) -> None:
        """Store an answer; raises IntegrityError if another request came first."""
        named = {"user_id": user_id, "operation": operation, "key": key}
        add_all((row.user_id, -row.size) for row in _forget.all(**named, moment=now()))
        expires_at = rfc3339(datetime.now(UTC) + KEPT)
        _insert.write(**named, **answer, expires_at=expires_at)
        Storage(user_id, len(answer["body"])).add()

    @classmethod
    def forget_account(cls, user_id: UUID) -> None:
        """Delete the stored answer to the request with which an administrator created this
        account."""
        for made in _makers.all(of=user_id):
            found = _forget_account.all(maker=made.actor_id, place=f'%/{user_id}"%')
            add_all((row.user_id, -row.size) for row in found)


spread(IdempotencyKey.user_id)
_size = sa.func.octet_length(IdempotencyKey.body)
declare(
    IdempotencyKey.user_id,
    export="they are answers that the user was given, kept for a day",
    size=_size,
)
# The user against whose quota an answer counts, and its size.
STORED = (IdempotencyKey.user_id, _size.label("size"))
_claim = Prepared(
    sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtextextended(bindparam("name"), 0)))
)
_named = sa.and_(
    IdempotencyKey.user_id == bindparam("user_id"),
    IdempotencyKey.operation == bindparam("operation"),
    IdempotencyKey.key == bindparam("key"),
)
_find = Prepared(
    sa.select(
        IdempotencyKey.fingerprint,
        IdempotencyKey.status,
        IdempotencyKey.headers,
        IdempotencyKey.body,
    ).where(_named, IdempotencyKey.expires_at > bindparam("moment"))
)
_forget = Prepared(
    sa.delete(IdempotencyKey)
    .where(_named, IdempotencyKey.expires_at <= bindparam("moment"))
    .returning(*STORED)
)
_insert = insertion(IdempotencyKey)
# Who made it is looked up first, so that only their answers are looked through.
_makers = Prepared(
    sa.select(AuditEvent.actor_id).where(
        AuditEvent.user_id == bindparam("of"), AuditEvent.action == "user-created"
    )
)
_forget_account = Prepared(
    sa.delete(IdempotencyKey)
    .where(
        IdempotencyKey.user_id == bindparam("maker"),
        IdempotencyKey.operation == "create_user",
        IdempotencyKey.headers.like(bindparam("place")),
    )
    .returning(*STORED)
)
