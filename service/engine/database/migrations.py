"""Moving the schema of a database, and comparing it with the models, by Alembic."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError

from alembic import command
from service.engine.database.errors import is_retryable
from service.engine.database.revisions import State, Unknown, file, require_utf8, state
from service.engine.database.transaction import db
from service.engine.settings import BadConfiguration


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Bring the schema to `revision`; leaves a head alone that newer code has made."""
    if engine.dialect.name == "sqlite":
        file(engine).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        _run(command.upgrade, engine, revision)
    except Unknown:
        if revision != "head" or state(engine) is not State.NEWER:
            raise


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Take the schema back to `revision`; "base" removes every table."""
    _run(command.downgrade, engine, revision)


def check(engine: sa.Engine) -> list[str]:
    """What a migration would have to do to make the database what the models that have been
    imported say; [] if nothing."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=comparison(connection.dialect))
        return [_line(difference) for difference in compare_metadata(context, db.metadata)]


def comparison(dialect: sa.Dialect) -> dict[str, Any]:
    """Alembic's options for comparing models and database: each engine's own indexes aside, and
    `db.metadata.info["virtual"]`, the names of SQLite's virtual tables."""
    virtual = tuple(db.metadata.info.get("virtual", ()))

    def has_name(name: str | None, kind: str, _parents: Any) -> bool:
        # A virtual table keeps what it has in tables named after it.
        return not (kind == "table" and (name or "").startswith(virtual))

    def has_object(thing: Any, _name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        foreign = kind == "index" and thing.dialect_kwargs.get("postgresql_using")
        return not (foreign and dialect.name != "postgresql")

    return {
        "target_metadata": db.metadata,
        "include_name": has_name,
        "include_object": has_object,
        "compare_type": True,
    }


@contextmanager
def connect(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection to migrate on: closed for good at the end, and with it what its session has set
    and locked.

    Raises `BadConfiguration` for a PgBouncer, which does not keep a session together.
    """
    if engine.get_execution_options().get("pgbouncer"):
        raise BadConfiguration(
            "DATABASE_URL is that of a PgBouncer: migrate on a connection to PostgreSQL itself"
        )
    with _opened(engine.execution_options(writes=True)) as connection:
        try:
            require_utf8(connection)
            yield connection
        finally:
            connection.invalidate()


def _opened(engine: sa.Engine) -> sa.Connection:
    """Two that make the same SQLite file at once may be refused where they should have waited."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return engine.connect()
        except sa.exc.OperationalError as error:
            if not is_retryable(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.02)  # a start waits, not a request


def _run(action: Callable[[Config, str], None], engine: sa.Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(engine.get_execution_options()["migrations"]))
    with connect(engine) as connection:
        try:
            config.attributes["connection"] = connection
            action(config, revision)
        except CommandError as error:
            raise Unknown(str(error)) from None


def _line(difference: Any) -> str:
    if isinstance(difference, list):  # the changes of one column
        return "; ".join(map(_line, difference))
    what, *about = difference
    words = (getattr(thing, "name", None) or thing for thing in about)
    return " ".join([what, *(word for word in words if isinstance(word, str))])
