"""Where the schema of a database stands, without Alembic: serving does not need its 7 MB."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from service.engine.settings import BadConfiguration

_found = sa.text("SELECT version_num FROM alembic_version")


class State(StrEnum):
    """Where a database stands; `NEWER` is fine to serve, since migrations only ever add."""

    CURRENT = "current"
    NEWER = "newer"
    BEHIND = "behind"
    EMPTY = "empty"


class Behind(Exception):
    """The schema is older than the code; the text says what to do."""


class Unknown(Exception):
    """There is no such revision to go to; the text says which."""


def state(engine: sa.Engine) -> State:
    """Where the database stands, by one small query: cheap enough for a readiness probe."""
    if engine.dialect.name == "sqlite" and not file(engine).exists():
        return State.EMPTY  # connecting would create the file
    known = revisions(engine.get_execution_options()["migrations"])
    with engine.connect() as connection:
        require_utf8(connection)
        try:
            found = set(connection.scalars(_found))
        except sa.exc.DBAPIError as error:
            if not _is_missing_table(error):
                raise
            found = set()
    if not found:
        return State.EMPTY
    if found == {known[-1]}:
        return State.CURRENT
    return State.BEHIND if found <= set(known) else State.NEWER


def require(engine: sa.Engine) -> State:
    """The state, if this code can run on it; raises `Behind` otherwise."""
    found = state(engine)
    if found in {State.EMPTY, State.BEHIND}:
        raise Behind(f"The schema is {found}: run `{_service(engine)} db upgrade` first.")
    return found


def require_utf8(connection: sa.Connection) -> None:
    """Raises `BadConfiguration` when the database cannot store all text."""
    if connection.dialect.name == "postgresql":
        from service.engine.database import postgresql  # with its driver, which SQLite does without

        if (encoding := postgresql.encoding(connection)) != "UTF8":
            raise BadConfiguration(
                f"DATABASE_URL is that of a database with the encoding {encoding}, but it must be "
                f"UTF8, for example CREATE DATABASE {_service(connection)} "
                "ENCODING 'UTF8' TEMPLATE template0"
            )


@cache
def revisions(migrations: Path) -> list[str]:
    """The revisions in Alembic's folder, the newest last: their files begin with them."""
    versions = migrations / "versions"
    return sorted(path.name.partition("_")[0] for path in versions.glob("[0-9]*.py"))


def file(engine: sa.Engine) -> Path:
    """The file of an SQLite database."""
    return Path(engine.url.database or "")


def _service(database: sa.Engine | sa.Connection) -> str:
    """The name of the service that the database is for, which is its command's too."""
    return str(database.get_execution_options()["service"])


def _is_missing_table(error: sa.exc.DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return state == "42P01" or "no such table: alembic_version" in str(error.orig)
