"""Turns database errors into problems, and removes the data that they quote."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from service.engine import problems

BUSY = "The database is busy."
TOO_SLOW = "The database took too long for this."
RETRYABLE = {"40001", "40P01"}  # serialisation failure, deadlock
READ_ONLY = "25006"  # a write to a server that takes none
NOT_SUPPORTED = "0A000"  # also a statement that was planned for other types: see libpq.py


_QUOTED = re.compile('"([^"]+)"')
_OF_A_SHARD = re.compile(r"_\d+$")  # which Citus adds to the name that a constraint has


@contextmanager
def unique(**taken: type[problems.Problem]) -> Iterator[None]:
    """Turn a violated unique index into the problem named for one of its columns."""
    try:
        yield
    except sa.exc.IntegrityError as error:
        broken = violated(error)
        for column, problem in taken.items():
            if column in broken:
                raise problem from None
        raise


def violated(error: sa.exc.IntegrityError) -> set[str]:
    """The columns of the constraint that a statement has violated; none if it is in no model.

    SQLite names the columns. PostgreSQL names the constraint; what speaks its protocol may do so
    in the message only, as Citus does.
    """
    message = first_line(error)
    if isinstance(error.orig, sqlite3.Error):
        columns = message.partition("constraint failed: ")[2].split(", ")
        return {column.rpartition(".")[2] for column in columns}
    name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    if name:
        return _columns_of(name)
    name = (_QUOTED.findall(message) or [""])[-1]
    return _columns_of(name) or _columns_of(_OF_A_SHARD.sub("", name))


def _columns_of(name: str) -> set[str]:
    from service.engine.database.transaction import db  # which uses this module

    for table in db.metadata.tables.values():
        for rule in (*table.constraints, *table.indexes):
            if not isinstance(rule, sa.Index | sa.schema.ColumnCollectionConstraint):
                continue
            if rule.name == name:
                return {column.name for column in rule.columns}
    return set()


def is_retryable(error: Exception) -> bool:
    """Whether the whole transaction may be tried again at once."""
    cause = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.Error):
        # SQLITE_BUSY itself comes after WRITE_TIMEOUT_SECONDS; trying again would add up.
        return _sqlite_name(cause).startswith("SQLITE_BUSY_")
    state = getattr(cause, "sqlstate", None)
    # Nothing was written, and if the connection is dropped for it, another may do it: its server
    # may take writes, or it plans for the present types.
    is_dropped = getattr(error, "connection_invalidated", False)
    return state in RETRYABLE or (is_dropped and state in {READ_ONLY, NOT_SUPPORTED})


def is_busy(error: Exception) -> bool:
    """Whether another process has locked the SQLite file at this moment. SQLite does not wait for
    one that is switching the file to WAL."""
    cause = getattr(error, "orig", error)
    return isinstance(cause, sqlite3.Error) and _sqlite_name(cause).startswith("SQLITE_BUSY")


def is_lost(error: Exception) -> bool:
    """Whether the connection was lost, and not because the server does not answer. Unless it was
    being committed, the transaction may then be tried again on another connection."""
    worth = getattr(getattr(error, "orig", None), "is_worth_a_retry", True)
    return worth and getattr(error, "connection_invalidated", False)


def is_refused(error: Exception) -> bool:
    """Whether PostgreSQL says that it has rolled back: a FATAL error may come after a commit."""
    diagnosis = getattr(getattr(error, "orig", None), "diag", None)
    return getattr(diagnosis, "severity_nonlocalized", None) == "ERROR"


def first_line(error: Exception) -> str:
    """The database's message, without the lines that follow the first."""
    return str(getattr(error, "orig", error)).partition("\n")[0]


def refusal(error: Exception) -> problems.Problem:
    """The problem that the client gets for a database error: 503 if the database fails, 400 if the
    data cannot be stored, else 500 (PostgreSQL manual, appendix A; sqlite.org/rescode)."""
    cause = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.Error):
        kind = _sqlite_name(cause).removeprefix("SQLITE_").split("_")[0]
        if kind == "INTERRUPT":
            return problems.Unavailable(TOO_SLOW, is_slow=True)
        if kind in {"BUSY", "LOCKED"}:
            return problems.Unavailable(BUSY)
        if kind in {"FULL", "IOERR", "CANTOPEN", "READONLY", "CORRUPT"}:
            return problems.Unavailable("The database is not available.")
        return problems.InvalidRequest() if kind == "TOOBIG" else problems.InternalError()
    if getattr(error, "connection_invalidated", False):  # lost, for whatever reason
        return problems.Unavailable("The database is not available.")
    state = getattr(cause, "sqlstate", None) or ""
    if state[:2] in {"22", "54"}:
        return problems.InvalidRequest("The database cannot store this text.")
    if state == "57014":  # statement_timeout
        return problems.Unavailable(TOO_SLOW, is_slow=True)
    if state[:2] in {"08", "53", "57", "58"} or state in RETRYABLE | {READ_ONLY, "55P03"}:
        return problems.Unavailable("The database is not available.")
    # The pool gave no connection in time, or connecting failed.
    if not state and isinstance(error, sa.exc.TimeoutError | sa.exc.OperationalError):
        return problems.Unavailable("The database is not available.")
    return problems.InternalError()


def as_sqlalchemy(error: Any, engine: sa.Engine, pooled: Any) -> BaseException:
    """An error of the driver as SQLAlchemy's. `pooled` is the connection that it came from, if any:
    if that is lost, all of the pool are replaced, because most likely the others are lost too."""
    dialect = engine.dialect
    gone = pooled is not None and dialect.is_disconnect(error, pooled, None)
    if gone:
        engine.pool._invalidate(pooled, error)
    wrapped: BaseException = sa.exc.DBAPIError.instance(
        None, None, error, dialect.loaded_dbapi.Error, True, gone, dialect
    )
    without_data(wrapped, error)
    return wrapped


def without_data(error: BaseException, driver: BaseException | None) -> None:
    """Remove from an error, which may be logged, the rows and values that PostgreSQL quotes."""
    if isinstance(error, sa.exc.DBAPIError) and driver:
        # "DETAIL: Failing row contains" is a later line; a data exception quotes in the first.
        of_data = (getattr(driver, "sqlstate", None) or "").startswith("22")
        words = type(driver).__name__ if of_data else first_line(error)
        error.args = driver.args = (words,)


def _sqlite_name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", None) or ""
