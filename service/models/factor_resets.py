"""Resets of second factors, which admins ask for: they wait a day, and the owner can stop them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.engine.database.distribution import spread
from service.engine.database.statements import Prepared
from service.engine.database.transaction import Row, db
from service.engine.database.types import Id, Time
from service.engine.ids import now, rfc3339
from service.models.ownership import declare

DELAY = timedelta(hours=24)  # the owner can stop it so long; the token of the mail lasts as long


class FactorReset(db.Model):  # type: ignore[name-defined,misc] # made at run time
    """The factors of this user are to be removed at `due_at`, by any process."""

    __tablename__ = "factor_resets"

    user_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    asked_by: Mapped[str] = mapped_column(Id)  # the admin; no foreign key, as in an audit event
    due_at: Mapped[str] = mapped_column(Time, index=True)

    @classmethod
    def ask(cls, user_id: UUID, admin_id: str) -> None:
        """Begin to wait, unless there is a reset that waits already."""
        _ask.write(of=str(user_id), by=admin_id, end=rfc3339(datetime.now(UTC) + DELAY))

    @classmethod
    def due_at_of(cls, user_id: UUID | str) -> str | None:
        """When the user's factors will be removed, if a reset waits."""
        row = _of.first(of=user_id)
        return row.due_at if row else None

    @classmethod
    def stop(cls, user_id: UUID | str) -> bool:
        """Stop a reset; False if none waits."""
        return bool(_stop.write(of=user_id))

    @classmethod
    def due(cls) -> Row | None:
        """(user_id, asked_by) of a reset that is due, read outside of a transaction."""
        return _due.peek(moment=now())

    @classmethod
    def take(cls, user_id: str) -> bool:
        """Remove a reset that is due; False if another process has, or if the owner stopped it."""
        return bool(_take.write(of=user_id, moment=now()))


spread(FactorReset.user_id)
declare(FactorReset.user_id, export="the audit events say who asked for it and when")
# As text, because SQLAlchemy has an ON CONFLICT for each database and these two share one syntax.
_ask = Prepared(
    sa.text(
        "INSERT INTO factor_resets (user_id, asked_by, due_at) VALUES (:of, :by, :end)"
        " ON CONFLICT (user_id) DO NOTHING"
    ).bindparams(bindparam("of", type_=Id), bindparam("by", type_=Id), bindparam("end", type_=Time))
)
_mine = FactorReset.user_id == bindparam("of")
_is_due = FactorReset.due_at <= bindparam("moment")
_of = Prepared(sa.select(FactorReset.due_at).where(_mine))
_stop = Prepared(sa.delete(FactorReset).where(_mine))
_due = Prepared(
    sa.select(FactorReset.user_id, FactorReset.asked_by)
    .where(_is_due)
    .order_by(FactorReset.due_at)
    .limit(1)
)
_take = Prepared(sa.delete(FactorReset).where(_mine, _is_due))
