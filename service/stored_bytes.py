"""Fills `users.stored_bytes` where it is missing: in rows that the previous release has written."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from service.engine.database.types import Id

USERS_PER_TRANSACTION = 50  # their rows are locked until it ends

# Not the models, which later migrations may change.
_users = sa.table("users", sa.column("id", Id), sa.column("stored_bytes", sa.BigInteger))
_posts = sa.table(
    "posts", sa.column("author_id", Id), sa.column("title"), sa.column("content", sa.Text)
)
_keys = sa.table("idempotency_keys", sa.column("user_id", Id), sa.column("body"))
_missing = (
    sa.select(_users.c.id)
    .where(_users.c.stored_bytes.is_(None), _users.c.id > sa.bindparam("after", type_=Id))
    .order_by(_users.c.id)
    .limit(USERS_PER_TRANSACTION)
    .with_for_update()
)
_bytes = sa.func.octet_length
_of_posts = (
    sa.select(sa.func.coalesce(sa.func.sum(_bytes(_posts.c.title) + _bytes(_posts.c.content)), 0))
    .where(_posts.c.author_id == _users.c.id)
    .scalar_subquery()
)
_of_keys = (
    sa.select(sa.func.coalesce(sa.func.sum(_bytes(_keys.c.body)), 0))
    .where(_keys.c.user_id == _users.c.id)
    .scalar_subquery()
)
_fill = (
    sa.update(_users)
    .where(_users.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(stored_bytes=_of_posts + _of_keys)
)
NOBODY = "00000000-0000-0000-0000-000000000000"


def fill(connection: sa.Connection, commit: Callable[[], None]) -> None:
    """Count what each uncounted user stores, in batches that are committed one by one, while others
    write: the rows are locked first, so that what they write is counted once."""
    after = NOBODY
    while ids := list(connection.scalars(_missing, {"after": after})):
        connection.execute(_fill, {"ids": ids})
        commit()
        after = ids[-1]
