"""Which revision the schema of a database is at, without Alembic: serving does not need its 7 MB.

Revisions form a graph: a service has a branch for each of its parts, and an API built on it has
branches of its own. `alembic_version` has a row for each head: a revision that was run, and after
which no other was run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from service.engine.settings import BadConfiguration

_found = sa.text("SELECT version_num FROM alembic_version")

Graph = dict[str, frozenset[str]]  # each revision, and those that must be run before it


class State(StrEnum):
    """How a schema compares with the code; `NEWER` can be served, since migrations only add."""

    CURRENT = "current"
    NEWER = "newer"
    BEHIND = "behind"
    EMPTY = "empty"


class Behind(Exception):
    """The schema is older than the code; the text says what to do."""


class Unknown(Exception):
    """The revision to migrate to does not exist; the text names it."""


def state(engine: sa.Engine) -> State:
    """The state of the schema, from one small query: cheap enough for a readiness probe."""
    if engine.dialect.name == "sqlite" and not file(engine).exists():
        return State.EMPTY  # connecting would create the file
    known = graph(engine.get_execution_options()["migrations"])
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
    missing = known.keys() - _with_ancestors(found & known.keys(), known)
    if not missing:
        return State.CURRENT if found <= known.keys() else State.NEWER
    # The row of a revision is deleted when the next one is run. So a missing revision that comes
    # directly after a row was never run; any other may have been, with a newer one after it.
    if found <= known.keys() or any(known[revision] & found for revision in missing):
        return State.BEHIND
    return State.NEWER


def require(engine: sa.Engine) -> State:
    """The state, if this code can run on it; raises `Behind` otherwise."""
    found = state(engine)
    if found in {State.EMPTY, State.BEHIND}:
        raise Behind(f"The schema is {found}: run `{_service(engine)} db upgrade` first.")
    return found


def require_utf8(connection: sa.Connection) -> None:
    """Raises `BadConfiguration` when the database cannot store all of Unicode."""
    if connection.dialect.name == "postgresql":
        from service.engine.database import postgresql  # imports psycopg: for PostgreSQL only

        if (encoding := postgresql.encoding(connection)) != "UTF8":
            raise BadConfiguration(
                f"DATABASE_URL is that of a database with the encoding {encoding}, but it must be "
                f"UTF8, for example CREATE DATABASE {_service(connection)} "
                "ENCODING 'UTF8' TEMPLATE template0"
            )


@cache
def graph(migrations: Path) -> Graph:
    """The revisions in Alembic's folder.

    Raises `BadConfiguration` when two have the same id, or when one's predecessor has no file.
    """
    files: dict[str, str] = {}
    found: Graph = {}
    for path in sorted((migrations / "versions").glob("*.py")):
        said = _assignments(path)
        revision = said["revision"]
        if revision in found:
            raise BadConfiguration(
                f"{files[revision]} and {path.name} are both the revision {revision}: give one of "
                "them another id"
            )
        files[revision] = path.name
        found[revision] = _names(said["down_revision"]) | _names(said.get("depends_on"))
    for revision, before in found.items():
        if absent := before - found.keys():
            raise BadConfiguration(
                f"{files[revision]} comes after the revision {min(absent)}, which has no file"
            )
    return found


def _assignments(path: Path) -> dict[str, Any]:
    """The values that a revision's file assigns to Alembic's names: strings, tuples or None."""
    return {
        target.id: ast.literal_eval(statement.value)
        for statement in ast.parse(path.read_text("utf-8")).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name) and target.id in {"revision", "down_revision", "depends_on"}
    }


def _names(given: str | Iterable[str] | None) -> frozenset[str]:
    return frozenset([given] if isinstance(given, str) else given or ())


def _with_ancestors(revisions: Iterable[str], known: Graph) -> set[str]:
    found: set[str] = set()
    waiting = list(revisions)
    while waiting:
        revision = waiting.pop()
        if revision not in found:
            found.add(revision)
            waiting.extend(known[revision])
    return found


def file(engine: sa.Engine) -> Path:
    """The file of an SQLite database."""
    return Path(engine.url.database or "")


def _service(database: sa.Engine | sa.Connection) -> str:
    """The name of the service that uses the database, which is also its command."""
    return str(database.get_execution_options()["service"])


def _is_missing_table(error: sa.exc.DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return state == "42P01" or "no such table: alembic_version" in str(error.orig)
