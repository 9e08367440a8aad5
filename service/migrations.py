"""The schema of this service: runs the engine's migrations, then fills new columns."""

from __future__ import annotations

import sqlalchemy as sa

from service import email_keys, stored_bytes
from service import models as models  # declares the tables that `check` compares
from service.engine.database import migrations
from service.engine.database.migrations import check, comparison, connect, downgrade
from service.engine.database.revisions import State, state

__all__ = ["check", "comparison", "connect", "downgrade", "upgrade"]


def upgrade(engine: sa.Engine, revision: str = "heads") -> None:
    """Bring the schema to `revision`, by default the newest of each branch, and there fill the keys
    of addresses and the counts of stored bytes where they are missing; leaves alone what newer code
    has made."""
    migrations.upgrade(engine, revision)
    if state(engine) is State.CURRENT:
        with connect(engine) as connection:
            email_keys.fill(connection, connection.commit)
            stored_bytes.fill(connection, connection.commit)
