"""Audit events: who did what to which account, and when. They are only ever added."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.caller import Caller
from service.engine.database.distribution import spread
from service.engine.database.listing import Items, Listing
from service.engine.database.statements import Prepared, insertion
from service.engine.database.transaction import db
from service.engine.database.types import Id
from service.engine.ids import NOBODY, created_at, new_id
from service.models.ownership import Exported, declare


class AuditEvent(db.Model):  # type: ignore[name-defined,misc] # made at run time
    """It has no foreign keys, because an event outlives its user."""

    __tablename__ = "audit_events"
    __table_args__ = (
        sa.Index(None, "action", "id"),
        sa.Index(None, "actor_id", "id"),
        sa.Index(None, "user_id", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    action: Mapped[str] = mapped_column(sa.String(30))
    actor_id: Mapped[str | None] = mapped_column(Id)
    user_id: Mapped[str | None] = mapped_column(Id)
    ip: Mapped[str] = mapped_column(sa.String(45))

    @classmethod
    def record(
        cls, action: str, *, actor_id: str | None, user_id: str | UUID | None, ip: str
    ) -> None:
        """Add an event about the account `user_id`; None means an unknown account."""
        _insert.write(id=new_id(), action=action, actor_id=actor_id, user_id=user_id, ip=ip[:45])

    @classmethod
    def has(cls, action: str, user_id: str, since: UUID | str = NOBODY) -> bool:
        """Whether there is an event with this action about the account, with this id or a later
        one."""
        return _any.first(action=action, user_id=user_id, later=since) is not None

    @classmethod
    def visible_to(cls, caller: Caller) -> Callable[..., Items]:
        """The listing of all events for an administrator, and of their own events for other
        callers."""
        return _all if caller.is_admin else cls.of(caller.id)

    @classmethod
    def of(cls, user_id: str) -> Callable[..., Items]:
        """The listing of the events about one account."""
        return partial(_own, user_id=user_id)


spread(AuditEvent.id)
declare(
    AuditEvent.user_id,
    export=Exported("audit_event", lambda caller: AuditEvent.of(caller.id)),
    kept="an event outlives whom it is about",
)
_insert = insertion(AuditEvent)
_any = Prepared(
    sa.select(AuditEvent.id)
    .where(
        AuditEvent.user_id == bindparam("user_id"),
        AuditEvent.action == bindparam("action"),
        AuditEvent.id >= bindparam("later"),
    )
    .limit(1)
)
_who = (AuditEvent.id, AuditEvent.action, AuditEvent.actor_id, AuditEvent.user_id)
# Users do not learn where an administrator is, nor where somebody is who answers a mail that went
# to an address they gave as theirs, or who has found a token.
_ANSWERS = (
    "email-changed",
    "email-verified",
    "registration-disputed",
    "factor-reset-stopped",
    "personal-token-leaked",
)
_by_another = sa.or_(
    AuditEvent.actor_id != AuditEvent.user_id, *(AuditEvent.action == name for name in _ANSWERS)
)
_own_ip = sa.case((_by_another, ""), else_=AuditEvent.ip).label("ip")


def _shape(row: tuple[Any, ...]) -> dict[str, Any]:
    id_, action, actor_id, user_id, ip = row
    return {
        "id": id_,
        "action": action,
        "actor_id": actor_id,
        "user_id": user_id,
        "ip": ip,
        "created_at": created_at(UUID(id_)),
    }


_filters: dict[str, Any] = {
    "user_id": AuditEvent.user_id == bindparam("user_id"),
    "actor_id": AuditEvent.actor_id == bindparam("actor_id"),
    "action": AuditEvent.action == bindparam("action"),
    "later": AuditEvent.id >= bindparam("later"),
}
_all = Listing(sa.select(*_who, AuditEvent.ip), key=AuditEvent.id, shape=_shape, **_filters)
_own = Listing(sa.select(*_who, _own_ip), key=AuditEvent.id, shape=_shape, **_filters)
