"""Fills `users.stored_bytes` where it is missing: in rows that the previous release has written."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from service.engine.database.types import Id
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
NOBODY = "00000000-0000-0000-0000-000000000000"


def fill(connection: sa.Connection, commit: Callable[[], None]) -> None:
    """Count what each uncounted user stores, in batches that are committed one by one, while others
    write: the rows are locked first, so that what they write is counted once."""
    fill = _fill()
    after = NOBODY
    while ids := list(connection.scalars(_missing, {"after": after})):
        connection.execute(fill, {"ids": ids})
        commit()
        after = ids[-1]


def _fill() -> sa.Update:
    counted = [
        sa.select(sa.func.coalesce(sa.func.sum(one.size), 0))
        .where(one.owner == _users.c.id)
        .scalar_subquery()
        for one in ownership.declared()
        if one.size is not None
    ]
    return (
        sa.update(_users)
        .where(_users.c.id.in_(sa.bindparam("ids", expanding=True)))
        .values(stored_bytes=sum(counted, sa.literal(0)))
    )
