"""Moving the schema of a database, and comparing it with the models, by Alembic."""

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
from service.engine.database.errors import is_retryable
from service.engine.database.revisions import State, Unknown, file, graph, require_utf8, state
from service.engine.database.transaction import db
from service.engine.settings import BadConfiguration

MISSING = ("add_table", "add_column")


def upgrade(engine: sa.Engine, revision: str = "heads") -> None:
    """Bring the schema to `revision`, by default the newest of each branch; leaves alone what newer
    code has made."""
    if engine.dialect.name == "sqlite":
        file(engine).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        _run(command.upgrade, engine, revision)
    except Unknown:
        if revision != "heads" or state(engine) is not State.NEWER:
            raise


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Take the schema back to `revision`; "base" removes all tables, "own@base" a branch's."""
    _run(command.downgrade, engine, revision)


def check(engine: sa.Engine) -> list[str]:
    """What a migration would have to do to make the database what the models that have been
    imported say; [] if nothing. A newer schema only has to have their tables and columns."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=comparison(connection.dialect))
        found = [_line(difference) for difference in compare_metadata(context, db.metadata)]
    is_newer = state(engine) is State.NEWER
    return [line for line in found if not is_newer or line.startswith(MISSING)]


def comparison(dialect: sa.Dialect) -> dict[str, Any]:
    """Alembic's options for comparing models and database, and for writing down what differs.

    It leaves aside the indexes that only another database has, and SQLite's virtual tables, whose
    names are in `db.metadata.info["virtual"]`.
    """
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
        "render_item": _render,
    }


@contextmanager
def connect(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection to migrate on: closed for good at the end, and with it what its session has set
    and locked.

    Raises `BadConfiguration` for a PgBouncer, which does not keep a session together.
    """
    if engine.get_execution_options().get("pgbouncer"):
        raise BadConfiguration(
            "DATABASE_URL names a PgBouncer: migrations need PostgreSQL's own address"
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
    folder = engine.get_execution_options()["migrations"]
    graph(folder)  # says what is wrong with it more clearly than Alembic would
    config = Config()
    config.set_main_option("script_location", str(folder))
    with connect(engine) as connection:
        try:
            config.attributes["connection"] = connection
            action(config, revision)
        except CommandError as error:
            raise Unknown(str(error)) from None


def _render(kind: str, thing: Any, context: AutogenContext) -> str | Literal[False]:
    """Write down what Alembic would render for today's code, or for one database, only."""
    if kind == "type" and isinstance(thing, sa.types.TypeDecorator):
        return _repr_type(thing.impl_instance, context)
    if kind == "server_default" and isinstance(getattr(thing, "arg", None), sa.True_ | sa.False_):
        return f"sa.{thing.arg}()"
    return False


def _line(difference: Any) -> str:
    if isinstance(difference, list):  # the changes of one column
        return "; ".join(map(_line, difference))
    what, *about = difference
    words = (getattr(thing, "name", None) or thing for thing in about)
    return " ".join([what, *(word for word in words if isinstance(word, str))])
