"""Fills `users.email_key` in rows that a release without that column has written."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from service.domain import addresses
from service.engine.database.types import Id

ROWS_PER_TRANSACTION = 1000  # few, so that no request waits long for a lock

# Not the model, which later migrations may change.
_users = sa.table(
    "users", sa.column("id", Id), sa.column("email", sa.String), sa.column("email_key", sa.String)
)
_missing = (
    sa.select(_users.c.id, _users.c.email)
    .where(_users.c.email_key.is_(None))
    .order_by(_users.c.id)
    .limit(ROWS_PER_TRANSACTION)
)
_taken = sa.select(_users.c.email_key).where(
    _users.c.email_key.in_(sa.bindparam("keys", expanding=True))
)
_fill = (
    sa.update(_users)
    .where(_users.c.id == sa.bindparam("of"), _users.c.email_key.is_(None))
    .values(email_key=sa.bindparam("key"))
)
_unreachable = (
    sa.select(_users.c.id, _users.c.email_key)
    .where(_users.c.email_key.like("!%"))
    .order_by(_users.c.id)
)


def fill(connection: sa.Connection, commit: Callable[[], None]) -> None:
    """Give every row a key, in batches that are committed one by one, the oldest account first.

    If two accounts have one address in two spellings, the older one gets the key. The other keeps
    its data but cannot be found by an address: its key is `!` and its id.
    """
    while rows := connection.execute(_missing).all():
        keys = {row.id: addresses.key(row.email) for row in rows}
        taken = set(connection.scalars(_taken, {"keys": list(keys.values())}))
        filled = []
        for id_, key in keys.items():
            filled.append({"of": id_, "key": f"!{id_}" if key in taken else key})
            taken.add(key)
        connection.execute(_fill, filled)
        commit()


def unreachable(connection: sa.Connection) -> list[str]:
    """The ids of the accounts for which `fill` found no key."""
    found = connection.execute(_unreachable)  # addresses that begin with `!` among them
    return [row.id for row in found if row.email_key == f"!{row.id}"]
