"""Compares what the server acknowledged with what is in the database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa

from tests.kit.load import Load

# Each counts rows that must not exist: work that was done by half.
_HALVES = {
    "posts that search does not know": (
        "SELECT count(*) FROM posts LEFT JOIN post_documents d ON d.post_id = posts.id"
        " WHERE d.id IS NULL"
    ),
    "users without their registration in the audit log": (
        "SELECT count(*) FROM users LEFT JOIN audit_events e"
        " ON e.user_id = users.id AND e.action = 'register' WHERE e.id IS NULL"
    ),
    "users without a mail": (
        "SELECT count(*) FROM users LEFT JOIN mails m ON m.user_id = users.id WHERE m.id IS NULL"
    ),
    "registrations without their user": (
        "SELECT count(*) FROM audit_events e LEFT JOIN users ON users.id = e.user_id"
        " WHERE e.action = 'register' AND users.id IS NULL"
    ),
}


@dataclass
class Findings:
    """What differs from the acknowledgements, by name; empty if nothing does."""

    lost: list[str]
    doubled: list[str]
    halves: dict[str, int]


NOTHING = Findings([], [], {})


def compare(load: Load, database_url: str) -> Findings:
    """The acknowledged writes that are lost, doubled or incomplete."""
    engine = sa.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        rows = [
            *connection.execute(sa.text("SELECT title, CAST(id AS CHAR(36)) FROM posts")),
            *connection.execute(sa.text("SELECT email, CAST(id AS CHAR(36)) FROM users")),
        ]
        halves = {name: connection.scalar(sa.text(query)) for name, query in _HALVES.items()}
        keys = set(connection.scalars(sa.text("SELECT key FROM idempotency_keys")))
    engine.dispose()
    there = {(name, id_) for name, id_ in rows}
    times = Counter(name for name, _ in rows)
    kept = {write.name for write in load.writes if write.key in keys}
    made = {write.name for write in load.writes if write.key and write.name in times}
    halves["writes without their key, or keys without their write"] = len(kept ^ made)
    return Findings(
        lost=[write.name for write in load.acknowledged if (write.name, write.id) not in there],
        doubled=[name for name, number in times.items() if number > 1],
        halves={name: number for name, number in halves.items() if number},
    )
