"""Runs migrations one process at a time: whoever comes second finds the work done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from alembic import context
from service import migrations, settings
from service.application import create_flask
from service.engine.database.transaction import db

LOCK = 0x62796C696E65  # any number that no other program on the server locks
OWN = "own"  # the branch of who builds on this service
PARENT = "users@head"  # whose tables a new branch may refer to
PATIENCE = 60_000  # milliseconds that the second process waits on SQLite


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
        # Alembic reads the revision only now, with the lock in hand.
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
    # The session, and with it the lock, ends with the connection: see migrations.connect.
    driver: Any = connection.connection.driver_connection
    driver.patience = None
    connection.exec_driver_sql("SET statement_timeout = 0")
    connection.exec_driver_sql("SET lock_timeout = 0")
    connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK})")
    # A table lock that has to wait stops everybody behind it: better to give up and try again.
    connection.exec_driver_sql("SET lock_timeout = '3s'")
    connection.commit()
    yield


@contextmanager
def _alone_on_sqlite(connection: sa.Connection) -> Iterator[None]:
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA busy_timeout = {PATIENCE}")
    # A batch operation drops and renames tables: enforced, that would delete by cascade.
    driver.execute("PRAGMA foreign_keys = OFF")
    with connection.begin():
        yield
        if broken := driver.execute("PRAGMA foreign_key_check").fetchall():
            raise RuntimeError(f"the migration leaves rows without their parents: {broken[:3]}")


def _name(_context: object, _revision: object, directives: list[Any]) -> None:
    """Put a new revision at the end of its branch, and call it by the branch and a number.

    The branch is Alembic's `-x branch=...`, see `make migration`. So two who work on two branches
    never give their revisions the same name.
    """
    branch = context.get_x_argument(as_dictionary=True).get("branch") or OWN
    scripts = ScriptDirectory.from_config(context.config)
    for script in directives:
        for creation in script.upgrade_ops.ops:
            creation.info = {}  # what the code says of a table; a revision cannot repeat it
        its = [s for s in scripts.walk_revisions() if s.branch_labels and branch in s.branch_labels]
        script.rev_id = f"{branch}_{len(its) + 1:04}"
        if its:
            script.head = f"{branch}@head"
        else:
            script.head, script.branch_label, script.depends_on = "base", branch, PARENT


main()
