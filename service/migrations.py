"""The schema of the database against the one this code was written for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from alembic import command
from service.database_errors import is_retryable
from service.models import User

METADATA = User.metadata  # importing the models has declared every table in it
_INI = Path(__file__).parents[1] / "alembic.ini"
_found = sa.text("SELECT version_num FROM alembic_version")


class State(StrEnum):
    """Where a database stands; `NEWER` is fine to serve, since migrations only ever add."""

    CURRENT = "current"
    NEWER = "newer"
    BEHIND = "behind"
    EMPTY = "empty"


class Behind(Exception):
    """The schema is older than the code; the text says what to do."""


def state(engine: sa.Engine) -> State:
    """Where the database stands, by one small query: cheap enough for a readiness probe."""
    if engine.dialect.name == "sqlite" and not _file(engine).exists():
        return State.EMPTY  # connecting would create the file
    head, known = _revisions()
    with engine.connect() as connection:
        try:
            found = set(connection.scalars(_found))
        except sa.exc.DBAPIError as error:
            if not _is_missing_table(error):
                raise
            found = set()
    if not found:
        return State.EMPTY
    if found == {head}:
        return State.CURRENT
    return State.BEHIND if found <= known else State.NEWER


def require(engine: sa.Engine) -> State:
    """The state, if this code can run on it; raises `Behind` otherwise."""
    found = state(engine)
    if found in {State.EMPTY, State.BEHIND}:
        raise Behind(f"The schema is {found}: run `byline db upgrade` first.")
    return found


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Bring the schema to `revision`; leaves a head alone that newer code has made."""
    if engine.dialect.name == "sqlite":
        _file(engine).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        _run(command.upgrade, engine, revision)
    except CommandError:  # raised for revisions that this code does not know
        if revision != "head" or state(engine) is not State.NEWER:
            raise


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Take the schema back to `revision`; "base" removes every table."""
    _run(command.downgrade, engine, revision)


def check(engine: sa.Engine) -> list[str]:
    """What a migration would have to do to make the database what the models say; [] if nothing."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=comparison(connection.dialect))
        return [_line(difference) for difference in compare_metadata(context, METADATA)]


def comparison(dialect: sa.Dialect) -> dict[str, Any]:
    """Alembic's options for comparing models and database: each engine's own indexes aside."""

    def has_name(name: str | None, kind: str, _parents: Any) -> bool:
        # FTS5 keeps its index in tables named after it.
        return not (kind == "table" and (name or "").startswith("post_search"))

    def has_object(thing: Any, _name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        foreign = kind == "index" and thing.dialect_kwargs.get("postgresql_using")
        return not (foreign and dialect.name != "postgresql")

    return {
        "target_metadata": METADATA,
        "include_name": has_name,
        "include_object": has_object,
        "compare_type": True,
    }


@contextmanager
def connect(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection to migrate on: closed for good at the end, and with it what its session has set
    and locked."""
    with _opened(engine.execution_options(writes=True)) as connection:
        try:
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
        time.sleep(0.02)


def _run(action: Callable[[Config, str], None], engine: sa.Engine, revision: str) -> None:
    with connect(engine) as connection:
        action(Config(_INI, attributes={"connection": connection}), revision)


@cache
def _revisions() -> tuple[str | None, frozenset[str]]:
    """The newest revision of this code, and all of them."""
    scripts = ScriptDirectory.from_config(Config(_INI))
    known = frozenset(script.revision for script in scripts.walk_revisions())
    return scripts.get_current_head(), known


def _file(engine: sa.Engine) -> Path:
    return Path(engine.url.database or "")


def _is_missing_table(error: sa.exc.DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return state == "42P01" or "no such table: alembic_version" in str(error.orig)


def _line(difference: Any) -> str:
    if isinstance(difference, list):  # the changes of one column
        return "; ".join(map(_line, difference))
    what, *about = difference
    words = (getattr(thing, "name", None) or thing for thing in about)
    return " ".join([what, *(word for word in words if isinstance(word, str))])
