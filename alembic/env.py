"""Runs migrations in one process at a time: a second one waits, and finds the work done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from alembic import context
from service import migrations, settings
from service.engine.database.distribution import PLACE
from service.engine.database.transaction import db
from service.flask_app import create_flask

LOCK = 0x62796C696E65  # an arbitrary number; no other program on the server may lock it
OWN = "own"  # the branch for APIs that build on this service
PARENT = "users@head"  # a new branch may refer to its tables
PATIENCE = 60_000  # milliseconds that a second process waits on SQLite


def main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        _migrate(given)
        return
    with create_flask(settings.load()).app_context(), migrations.connect(db.engine) as connection:
        _migrate(connection)


def _migrate(connection: sa.Connection) -> None:
    alone = _alone_on_postgresql if connection.dialect.name == "postgresql" else _alone_on_sqlite
    with alone(connection):
        # Alembic reads the revision only now, while the lock is held.
        context.configure(
            connection=connection,
            transaction_per_migration=True,
            render_as_batch=connection.dialect.name == "sqlite",
            process_revision_directives=_name,
            **migrations.comparison(connection.dialect),
        )
        with context.begin_transaction():
            context.run_migrations()


@contextmanager
def _alone_on_postgresql(connection: sa.Connection) -> Iterator[None]:
    # The session ends with the connection, and releases the lock: see migrations.connect.
    driver: Any = connection.connection.driver_connection
    driver.patience = None
    connection.exec_driver_sql("SET statement_timeout = 0")
    connection.exec_driver_sql("SET lock_timeout = 0")
    connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK})")
    # A waiting table lock blocks all later statements, so give up soon and try again.
    connection.exec_driver_sql("SET lock_timeout = '3s'")
    connection.commit()
    yield


@contextmanager
def _alone_on_sqlite(connection: sa.Connection) -> Iterator[None]:
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA busy_timeout = {PATIENCE}")
    # Batch operations drop and rename tables; with foreign keys enforced, that would cascade.
    driver.execute("PRAGMA foreign_keys = OFF")
    with connection.begin():
        yield
        if broken := driver.execute("PRAGMA foreign_key_check").fetchall():
            raise RuntimeError(f"the migration leaves rows without their parents: {broken[:3]}")


def _name(_context: object, _revision: object, directives: list[Any]) -> None:
    """Put a new revision at the end of its branch, and name it after the branch and a number.

    The branch comes from Alembic's `-x branch=...`, see `make migration`. Revisions of different
    branches never get the same name.
    """
    branch = context.get_x_argument(as_dictionary=True).get("branch") or OWN
    scripts = ScriptDirectory.from_config(context.config)
    for script in directives:
        for creation in script.upgrade_ops.ops:
            # What else our code notes about a table, a revision cannot render.
            creation.info = {name: creation.info[name] for name in creation.info if name == PLACE}
        its = [s for s in scripts.walk_revisions() if s.branch_labels and branch in s.branch_labels]
        script.rev_id = f"{branch}_{len(its) + 1:04}"
        if its:
            script.head = f"{branch}@head"
        else:
            script.head, script.branch_label, script.depends_on = "base", branch, PARENT


main()
