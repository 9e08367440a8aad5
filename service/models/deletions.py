"""Deleted accounts whose rows still exist: they are hidden at once and removed in batches."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.caller import Caller
from service.engine.database.distribution import everywhere
from service.engine.database.statements import Prepared, insertion
from service.engine.database.transaction import connection, db
from service.engine.database.types import Id, Time
from service.engine.ids import now, rfc3339
from service.models import ownership
from service.models.ownership import Keys
from service.models.users import NO_HASH, User

LEASE = timedelta(seconds=15)  # how long a claim on an account lasts; each batch renews it
KEYS_READ_AHEAD = 10_000  # keys that are read ahead, without a lock


class Deletion(db.Model):  # type: ignore[name-defined,misc] # made at run time
    """An account with `users.deleted`: from `due_at` on, any process may remove its rows."""

    __tablename__ = "deletions"

    user_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    created_at: Mapped[str] = mapped_column(Time)
    due_at: Mapped[str] = mapped_column(Time)

    @classmethod
    def begin(
        cls, user_id: UUID, caller: Caller, if_match: list[str] | None, *, name_rests: bool
    ) -> None:
        """Hide an account and its data, end its sessions, and queue its rows for removal after the
        commit. With `name_rests` nobody can take its user name for 90 days.

        Raises `NotFound`, `Forbidden`, `PreconditionFailed` or `LastAdmin`.
        """
        User.delete(user_id, caller, if_match, _tombstone(), name_rests=name_rests)
        moment = now()
        _insert.write(user_id=user_id, created_at=moment, due_at=moment)

    @classmethod
    def claim(cls) -> str | None:
        """Claim an account to work on, if there is one; returns its id and commits."""
        due = _due.peek(moment=now())
        if due is None:
            return None
        with db.transaction() as transaction:
            claimed = _claim.write(user=due.user_id, seen=due.due_at, lease=_lease())
            transaction.commit()
        return due.user_id if claimed else None

    @classmethod
    def hold(cls, user_id: str) -> bool:
        """Renew the claim; False if another process has finished the account."""
        return bool(_hold.write(user=user_id, lease=_lease()))

    @classmethod
    def finish(cls, user_id: str) -> None:
        """Remove the account itself and, by foreign key, rows written while it was hidden."""
        _finish.write(of=user_id)

    @classmethod
    def waiting(cls) -> tuple[int, str | None]:
        """The number of accounts that are not removed yet, and the time at which the first was
        deleted."""
        row = _waiting.peek()
        return (row.number, row.oldest) if row else (0, None)


everywhere(Deletion)


class OwnedRows:
    """The rows of one table that belong to an account."""

    def __init__(self, table: Any, owner: sa.Column[Any]) -> None:
        key = list(table.primary_key)
        self._key = sa.tuple_(*key)
        newest_first = [column.desc() for column in key]
        self._first = sa.select(*key).where(owner == bindparam("user")).order_by(*newest_first)
        self._delete = sa.delete(table).where(self._key.in_(bindparam("keys", expanding=True)))

    def keys(self, user_id: str, after: tuple[Any, ...] | None) -> Keys:
        """The next keys in the order of removal, newest first; reads without a lock."""
        following = self._first if after is None else self._first.where(self._key < after)
        with db.transaction(writes=False):
            rows = connection().execute(following.limit(KEYS_READ_AHEAD), {"user": user_id})
            return [tuple(row) for row in rows]

    def remove(self, keys: Keys) -> None:
        """Delete these rows and, by foreign key, the rows that depend on them."""
        connection().execute(self._delete, {"keys": keys})


def owned() -> list[OwnedRows]:
    """The tables with rows to remove together with an account."""
    return [OwnedRows(one.owner.table, one.owner) for one in ownership.declared() if not one.kept]


ownership.declare(
    Deletion.user_id,
    export="it is there only after the account is deleted",
    kept="it is removed with the row of the user, by foreign key, when nothing else is left",
)
_insert = insertion(Deletion)
_due = Prepared(
    sa.select(Deletion.user_id, Deletion.due_at)
    .where(Deletion.due_at <= bindparam("moment"))
    .order_by(Deletion.due_at)
    .limit(1)
)
_claim = Prepared(
    sa.update(Deletion)
    .where(Deletion.user_id == bindparam("user"), Deletion.due_at == bindparam("seen"))
    .values(due_at=bindparam("lease"))
)
_hold = Prepared(
    sa.update(Deletion)
    .where(Deletion.user_id == bindparam("user"))
    .values(due_at=bindparam("lease"))
)
_finish = Prepared(sa.delete(User).where(User.id == bindparam("of"), User.deleted))
_waiting = Prepared(
    sa.select(
        sa.func.count().label("number"), sa.func.min(Deletion.created_at).label("oldest")
    ).select_from(Deletion)
)


def _tombstone() -> dict[str, Any]:
    """The column values of a deleted account: they free its address, free or reserve its user name,
    and match no look-up. The values fit the specification because the previous release may show
    them while it is being replaced; nobody can take them first."""
    address = f"{secrets.token_hex(16)}@deleted.invalid"
    return {
        "deleted": True,
        "disabled": True,
        "role": "user",
        "email": address,
        "email_key": address,
        "email_verified": False,
        "username": f"deleted-{secrets.token_hex(11)}",
        "bio": "",
        "password_hash": NO_HASH,
    }


def _lease() -> str:
    return rfc3339(datetime.now(UTC) + LEASE)
