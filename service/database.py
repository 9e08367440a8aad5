"""The database: one extension object, one transaction a request, and what its errors mean."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import flask
import flask_sqlalchemy.session
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase

from service import problems
from service.ids import rfc3339

WRITE_TIMEOUT = 5.0  # seconds that a writer waits for its turn before the answer is 503
RETRYABLE = {"40001", "40P01"}  # serialisation failure, deadlock


class Id(sa.types.TypeDecorator[str]):
    """A UUID: `uuid` on PostgreSQL, its 36 characters on SQLite; a string in Python.

    The text of a UUIDv7 sorts as its bytes do, so order by id is order of creation on both.
    """

    impl = sa.CHAR(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else str(value)


class Time(sa.types.TypeDecorator[str]):
    """A moment: `timestamptz` on PostgreSQL, text on SQLite; RFC 3339 in UTC with `Z` in Python.

    Text of one width sorts as the moments do.
    """

    impl = sa.CHAR(24).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    cache_ok = True

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any] | None:
        return _rfc3339_or_none if dialect.name == "postgresql" else None


class _Model(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


class _RequestSession(flask_sqlalchemy.session.Session):
    """`db.session` on the request's own connection, so the ORM and Core share one transaction."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Any:
        current = _transaction.get(None)
        return current.connection() if current else super().get_bind(*args, **kwargs)


class Transaction:
    """A transaction that takes a connection at the first statement and gives it back at the end."""

    __slots__ = ("_connection", "_engine", "_lock", "after_commit")

    def __init__(self, engine: sa.Engine, lock: threading.Lock | None) -> None:
        self._engine = engine
        self._lock = lock
        self._connection: sa.Connection | None = None
        self.after_commit: list[Callable[[], None]] = []

    def connection(self) -> sa.Connection:
        """The connection; raises `Unavailable` when SQLite's one writer is not free in time."""
        if self._connection is None:
            # One queue for writers costs less than SQLite's own busy loop (see docs/architecture).
            if self._lock and not self._lock.acquire(timeout=WRITE_TIMEOUT):
                raise problems.Unavailable("The database is busy.")
            try:
                self._connection = self._engine.connect()
            except BaseException:
                if self._lock:
                    self._lock.release()
                raise
        return self._connection

    def commit(self) -> None:
        if self._connection is not None:
            self._connection.commit()
        for call in self.after_commit:
            call()
        self.after_commit.clear()

    def rollback(self) -> None:
        self.after_commit.clear()
        if self._connection is not None:
            self._connection.rollback()

    def close(self) -> None:
        """Give the connection back; what was not committed is rolled back."""
        if self._connection is not None:
            try:
                self._connection.close()
            finally:
                self._connection = None
                if self._lock:
                    self._lock.release()


Row = sa.Row[*tuple[Any, ...]]
Select = sa.Select[*tuple[Any, ...]]
_transaction: ContextVar[Transaction] = ContextVar("transaction")


class Database(SQLAlchemy):
    """Flask-SQLAlchemy with the engine set up per dialect and with explicit transactions."""

    def init_app(self, app: flask.Flask) -> None:
        super().init_app(app)
        with app.app_context():
            engine = self.engine
        sa.event.listen(engine, "handle_error", _keep_data_back)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _open_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
            app.extensions["engines"] = (
                engine,
                engine.execution_options(writes=True),
                threading.Lock(),
            )
        else:
            app.extensions["engines"] = (engine, engine, None)

    @contextmanager
    def transaction(self, *, writes: bool = True) -> Iterator[Transaction]:
        """One transaction for all statements inside; commits only when told to.

        SQLite begins it with `BEGIN IMMEDIATE` when it `writes`, so that a read followed by a write
        never fails for want of the lock.
        """
        reader, writer, lock = flask.current_app.extensions["engines"]
        current = Transaction(writer, lock) if writes else Transaction(reader, None)
        token = _transaction.set(current)
        try:
            yield current
        finally:
            _transaction.reset(token)
            current.close()


db = Database(
    model_class=_Model, session_options={"class_": _RequestSession}, disable_autonaming=True
)


def connection() -> sa.Connection:
    """The connection of the transaction this code runs in; LookupError outside of one."""
    return _transaction.get().connection()


def commit() -> None:
    """Commit now: only for what must stay although the request is about to fail."""
    _transaction.get().commit()


def after_commit(call: Callable[[], None]) -> None:
    """Call this once the transaction is committed, and not at all if it never is."""
    _transaction.get().after_commit.append(call)


def peek(statement: Select, parameters: dict[str, Any]) -> Row | None:
    """The first row of a read outside the request's transaction, its connection given back at once.

    For what must be known before something slow, such as hashing, while no lock may be held.
    """
    reader: sa.Engine = flask.current_app.extensions["engines"][0]
    with reader.connect() as apart:
        return apart.execute(statement, parameters).first()


@contextmanager
def unique(**taken: type[problems.Problem]) -> Iterator[None]:
    """Turn a violated unique index into the problem named for its column."""
    try:
        yield
    except sa.exc.IntegrityError as error:
        diagnosis = getattr(error.orig, "diag", None)
        broken = (diagnosis.constraint_name or "") if diagnosis else str(error.orig)
        for column, problem in taken.items():
            if column in broken:
                raise problem from None
        raise


def is_retryable(error: Exception) -> bool:
    """Whether the whole transaction may be tried again at once."""
    cause = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.Error):
        return _sqlite_name(cause).startswith("SQLITE_BUSY")
    return getattr(cause, "sqlstate", None) in RETRYABLE


def first_line(error: Exception) -> str:
    """What the database said, in a line."""
    return str(getattr(error, "orig", error)).partition("\n")[0]


def refusal(error: Exception) -> problems.Problem:
    """The problem that a database error is to the client: 503 when the database is not well, 400
    when it was the data, 500 when it was us (PostgreSQL manual, appendix A; sqlite.org/rescode)."""
    cause = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.Error):
        kind = _sqlite_name(cause).removeprefix("SQLITE_").split("_")[0]
        if kind in {"BUSY", "LOCKED", "FULL", "IOERR", "CANTOPEN", "READONLY", "CORRUPT"}:
            return problems.Unavailable("The database is not available.")
        return problems.InvalidRequest() if kind == "TOOBIG" else problems.InternalError()
    state = getattr(cause, "sqlstate", None) or ""
    if state[:2] in {"22", "54"}:
        return problems.InvalidRequest("The database cannot store this text.")
    if state[:2] in {"08", "53", "57", "58"} or state in RETRYABLE | {"25006", "55P03"}:
        return problems.Unavailable("The database is not available.")
    # No connection from the pool in time, or none to be had at all.
    if not state and isinstance(error, sa.exc.TimeoutError | sa.exc.OperationalError):
        return problems.Unavailable("The database is not available.")
    return problems.InternalError()


def _keep_data_back(context: sa.engine.ExceptionContext) -> None:
    """Take out of an error, which may be logged, the rows and values that PostgreSQL quotes."""
    error, driver = context.sqlalchemy_exception, context.original_exception
    if isinstance(error, sa.exc.DBAPIError):
        # "DETAIL: Failing row contains" comes later; a data exception quotes in the first line.
        of_data = (getattr(driver, "sqlstate", None) or "").startswith("22")
        words = type(driver).__name__ if of_data else first_line(error)
        error.args = driver.args = (words,)


def _rfc3339_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _open_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours, see _begin_sqlite
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        f"busy_timeout = {int(WRITE_TIMEOUT * 1000)}",
        "temp_store = MEMORY",
        "cache_size = -16000",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    driver: Any = connection.connection.driver_connection
    driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")


def _sqlite_name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", None) or ""
