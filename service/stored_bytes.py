"""Fills `users.stored_bytes` where it is missing: in rows that the previous release has written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from service.engine.database.types import Id
from service.engine.ids import NOBODY
from service.models import ownership

USERS_PER_TRANSACTION = 50  # their rows are locked until it ends

_users = sa.table("users", sa.column("id", Id), sa.column("stored_bytes", sa.BigInteger))
_missing = (
    sa.select(_users.c.id)
    .where(_users.c.stored_bytes.is_(None), _users.c.id > sa.bindparam("after", type_=Id))
    .order_by(_users.c.id)
    .limit(USERS_PER_TRANSACTION)
    .with_for_update()
)
_fill = (
    sa.update(_users)
    .where(_users.c.id == sa.bindparam("of"))
    .values(stored_bytes=sa.bindparam("size"))
)


def fill(connection: sa.Connection, commit: Callable[[], None]) -> None:
    """Count what each uncounted user stores, in batches that are committed one by one, while others
    write: the rows are locked first, so that what they write is counted once."""
    sums = [_sums(one.owner, one.size) for one in ownership.declared() if one.size is not None]
    after = NOBODY
    while ids := list(connection.scalars(_missing, {"after": after})):
        stored = dict.fromkeys(ids, 0)
        for statement in sums:
            for user_id, size in connection.execute(statement, {"ids": ids}):
                stored[user_id] += int(size)
        connection.execute(_fill, [{"of": id_, "size": stored[id_]} for id_ in ids])
        commit()
        after = ids[-1]


def _sums(owner: Any, size: sa.ColumnElement[int]) -> Any:
    """What some users store in one table; a statement of its own, for the table may be spread over
    machines of which each has all users."""
    mine = owner.in_(sa.bindparam("ids", expanding=True))
    return sa.select(owner, sa.func.sum(size)).where(mine).group_by(owner)
