"""Migrates the schema of a database and compares it with the models, using Alembic."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _repr_type
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError

from alembic import command
from service.engine.database import citus
from service.engine.database.errors import is_busy
from service.engine.database.revisions import State, Unknown, file, graph, require_utf8, state
from service.engine.database.transaction import db
from service.engine.settings import BadConfiguration

MISSING = ("add_table", "add_column")


def upgrade(engine: sa.Engine, revision: str = "heads") -> None:
    """Migrate the schema to `revision`, by default the newest of each branch; a schema that is
    newer than the code is left alone."""
    if engine.dialect.name == "sqlite":
        file(engine).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        _run(command.upgrade, engine, revision)
    except Unknown:
        if revision != "heads" or state(engine) is not State.NEWER:
            raise


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Migrate the schema back to `revision`: "base" drops all tables, "own@base" a branch's."""
    _run(command.downgrade, engine, revision)


def check(engine: sa.Engine) -> list[str]:
    """The differences between the database and the imported models; [] if there are none. In a
    newer schema, only missing tables and columns count."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=comparison(connection.dialect))
        found = [_line(difference) for difference in compare_metadata(context, db.metadata)]
    is_newer = state(engine) is State.NEWER
    return [line for line in found if not is_newer or line.startswith(MISSING)]


def comparison(dialect: sa.Dialect) -> dict[str, Any]:
    """Alembic's options for comparing models and database, and for rendering the differences.

    They ignore indexes that exist only on the other database, and SQLite's virtual tables, which
    are named in `db.metadata.info["virtual"]`.
    """
    virtual = tuple(db.metadata.info.get("virtual", ()))

    def has_name(name: str | None, kind: str, _parents: Any) -> bool:
        # A virtual table stores its data in tables whose names begin with its own.
        return not (kind == "table" and (name or "").startswith(virtual))

    def has_object(thing: Any, _name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        foreign = kind == "index" and thing.dialect_kwargs.get("postgresql_using")
        return not (foreign and dialect.name != "postgresql")

    return {
        "target_metadata": db.metadata,
        "include_name": has_name,
        "include_object": has_object,
        "compare_type": True,
        "render_item": _render,
    }


@contextmanager
def connect(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection for migrations. It is closed at the end, not returned to the pool, so that the
    settings and locks of its session end. In a cluster, a table that is created on it goes where
    its `info` says.

    Raises `BadConfiguration` for a PgBouncer, which may run each transaction in another session.
    """
    if engine.get_execution_options().get("pgbouncer"):
        raise BadConfiguration(
            "DATABASE_URL names a PgBouncer: migrations need PostgreSQL's own address"
        )
    with _opened(engine.execution_options(writes=True)) as connection:
        sa.event.listen(sa.Table, "after_create", citus.settle)
        try:
            require_utf8(connection)
            citus.prepare(connection)
            yield connection
        finally:
            sa.event.remove(sa.Table, "after_create", citus.settle)
            connection.invalidate()


def _opened(engine: sa.Engine) -> sa.Connection:
    """A new connection; tried again if another process is creating the same SQLite file."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return engine.connect()
        except sa.exc.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.02)  # a start waits, not a request


def _run(action: Callable[[Config, str], None], engine: sa.Engine, revision: str) -> None:
    folder = engine.get_execution_options()["migrations"]
    graph(folder)  # explains a broken graph more clearly than Alembic does
    config = Config()
    config.set_main_option("script_location", str(folder))
    with connect(engine) as connection:
        try:
            config.attributes["connection"] = connection
            action(config, revision)
        except CommandError as error:
            raise Unknown(str(error)) from None


def _render(kind: str, thing: Any, context: AutogenContext) -> str | Literal[False]:
    """Render types and defaults without names of our code, and for both databases."""
    if kind == "type" and isinstance(thing, sa.types.TypeDecorator):
        return _repr_type(thing.impl_instance, context)
    if kind == "server_default" and isinstance(getattr(thing, "arg", None), sa.True_ | sa.False_):
        return f"sa.{thing.arg}()"
    return False


def _line(difference: Any) -> str:
    if isinstance(difference, list):  # several changes of one column
        return "; ".join(map(_line, difference))
    what, *about = difference
    words = (getattr(thing, "name", None) or thing for thing in about)
    return " ".join([what, *(word for word in words if isinstance(word, str))])
