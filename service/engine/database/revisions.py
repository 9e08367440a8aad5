"""Where the schema of a database stands, without Alembic: serving does not need its 7 MB.

Revisions form a graph: a service has a branch for each of its parts, and whoever builds on it has
branches of their own. `alembic_version` has a row for each revision that was run and that no other
one which was run comes after.
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

Graph = dict[str, frozenset[str]]  # from each revision to those that must be run before it


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
    # A row goes as soon as a revision after it is run, so a missing one after a row was never run.
    # Any other may have been, if newer code has a revision after it.
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
def graph(migrations: Path) -> Graph:
    """The revisions in Alembic's folder.

    Raises `BadConfiguration` when two have the same id, or when one comes after none that is there.
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
    """What a revision's file assigns to Alembic's names, which are strings, tuples or None."""
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
    """The name of the service that the database is for, which is its command's too."""
    return str(database.get_execution_options()["service"])


def _is_missing_table(error: sa.exc.DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return state == "42P01" or "no such table: alembic_version" in str(error.orig)
