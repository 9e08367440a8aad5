"""The database: one extension object, and one transaction for each request.

A transaction takes a connection as late as it can, and gives it back as early as it can:

             first statement                 BEGIN
      NEW --------------------> CONNECTED ----------> BEGUN
       ^                         |     ^                |
       |     close(), unlock()   |     | commit(),      |
       +-------------------------+     | rollback()     |
       ^                               +----------------+
       +------------- close(), unlock(): rolled back ---+

    NEW        `_driver` is None: no connection, no lock. An operation that hashes a password goes
               back here first, or hashes would hold all connections.
    CONNECTED  A connection of the pool and, to write on SQLite, the writers' lock. Where reads need
               no BEGIN, they stay here, and each statement commits by itself.
    BEGUN      All statements are committed or rolled back together. After a commit, the next
               statement begins anew.

Only the thread that entered a transaction may use it. `is_committed` is set before the driver is
told to commit and never unset: a connection that is lost during a commit leaves nobody knowing
whether it happened, so the work must not be done again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import flask
import flask_sqlalchemy.session
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from service.engine import problems
from service.engine.database import sqlite
from service.engine.database.errors import BUSY, without_data

REPLICA = "replica"  # the name of its engine
READINESS = "readiness"  # the name of the engine with the one connection for readiness checks


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
    """A transaction that takes a connection at the first statement and gives it back at the end.

    `begin` is the SQL that starts it; if empty, each statement commits by itself.
    """

    __slots__ = (
        "_begin",
        "_connection",
        "_driver",
        "_engine",
        "_lock",
        "_pooled",
        "_token",
        "after_commit",
        "is_committed",
    )

    def __init__(self, engine: sa.Engine, begin: str, lock: threading.Lock | None) -> None:
        self._engine = engine
        self._begin = begin
        self._lock = lock
        self.is_committed = False  # also True if the commit failed half-way
        self._pooled: Any = None
        self._driver: Any = None
        self._connection: sa.Connection | None = None
        self.after_commit: list[Callable[[], None]] = []

    def __enter__(self) -> Transaction:
        self._token = _transaction.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _transaction.reset(self._token)
        self.close()

    @property
    def dialect(self) -> sa.Dialect:
        return self._engine.dialect

    def execute(self, sql: Any, parameters: Any) -> Any:
        """The driver's cursor after a statement.

        Raises SQLAlchemy's errors, or `Unavailable` if another writer holds SQLite for too long.
        """
        try:
            return self._execute(sql, parameters)
        except self._engine.dialect.loaded_dbapi.Error as error:
            raise self._as_sqlalchemy_error(error) from None

    def connection(self) -> sa.Connection:
        """The same connection as SQLAlchemy's, for the ORM and for statements that are not
        prepared; raises as `execute` does."""
        self._call_driver(self._begun_connection)
        if self._connection is None:
            self._connection = sa.Connection(self._engine, self._pooled)
        if not self._connection.in_transaction():
            self._connection.begin()  # otherwise an ORM session begins its own
        return self._connection

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """End each statement in the block after so many seconds, as `Unavailable`."""
        driver = self._call_driver(self._begun_connection)
        if self._engine.dialect.name == "sqlite":
            with sqlite.limited(driver, seconds):
                yield
        else:
            self._call_driver(driver.limit, seconds)
            yield

    def commit(self) -> None:
        self.is_committed = True
        if self._connection is not None:
            self._connection.commit()
        if self._driver is not None and self._driver.in_transaction:
            self._call_driver(self._driver.commit)
        for callback in self.after_commit:
            callback()
        self.after_commit.clear()

    def rollback(self) -> None:
        self.after_commit.clear()
        if self._connection is not None:
            self._connection.rollback()
        if self._driver is not None and self._driver.in_transaction:
            self._call_driver(self._driver.rollback)

    def unlock(self) -> None:
        """Let others write on SQLite; only before anything was written here. The next statement
        begins a new transaction, so what was read may be stale."""
        if self._lock:
            self.close()

    def close(self) -> None:
        """Give the connection back; what was not committed is rolled back."""
        if self._driver is not None:
            try:
                (self._connection or self._pooled).close()
            finally:
                self._connection = self._pooled = self._driver = None
                if self._lock:
                    self._lock.release()

    def _execute(self, sql: Any, parameters: Any) -> Any:
        return self._begun_connection().execute(sql, parameters)

    def _begun_connection(self) -> Any:
        """The driver's connection, with the transaction begun."""
        driver = self._driver or self._open_connection()
        if self._begin and not driver.in_transaction:
            driver.execute(self._begin)
        return driver

    def _open_connection(self) -> Any:
        # One queue for writers costs less than SQLite's own busy loop (see docs/architecture).
        if self._lock and not self._lock.acquire(timeout=sqlite.WRITE_TIMEOUT_SECONDS):
            raise problems.Unavailable(BUSY)
        try:
            self._pooled = self._engine.raw_connection()
        except BaseException:
            if self._lock:
                self._lock.release()
            raise
        self._driver = self._pooled.driver_connection
        return self._driver

    def _call_driver(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call the driver, with its errors turned into SQLAlchemy's."""
        try:
            return function(*arguments)
        except self._engine.dialect.loaded_dbapi.Error as error:
            raise self._as_sqlalchemy_error(error) from None

    def _as_sqlalchemy_error(self, error: Any) -> BaseException:
        dialect, pooled = self._engine.dialect, self._pooled
        gone = pooled is not None and dialect.is_disconnect(error, pooled, None)
        if gone:  # the other pooled connections are most likely lost as well
            self._engine.pool._invalidate(pooled, error)
        wrapped: BaseException = sa.exc.DBAPIError.instance(
            None, None, error, dialect.loaded_dbapi.Error, True, gone, dialect
        )
        without_data(wrapped, error)
        return wrapped


Row = sa.Row[*tuple[Any, ...]]
Select = sa.Select[*tuple[Any, ...]]
_transaction: ContextVar[Transaction] = ContextVar("transaction")


class _Access(NamedTuple):
    """How transactions of one database begin: the SQL for reads and for writes, and a lock if it
    has one writer."""

    engine: sa.Engine
    reads: str
    writes: str
    lock: threading.Lock | None = None
    kind: type[Transaction] = Transaction  # a subclass if statements are traced


class Database(SQLAlchemy):
    """Flask-SQLAlchemy with the engines set up per dialect and with explicit transactions."""

    def init_app(self, app: flask.Flask) -> None:
        super().init_app(app)
        with app.app_context():
            engines = self.engines
        app.extensions["databases"] = {name: _access(engines[name]) for name in engines}

    def transaction(self, *, writes: bool = True, replica: bool = False) -> Transaction:
        """One transaction for all statements in its block; commits only when told to.

        If it `writes`, SQLite begins it with `BEGIN IMMEDIATE`, so that a read followed by a write
        never fails to get the lock. If not, each statement sees what was committed before it, as
        every statement does on PostgreSQL. `replica` reads from the replica.
        """
        access: _Access = flask.current_app.extensions["databases"][REPLICA if replica else None]
        if writes:
            return access.kind(access.engine, access.writes, access.lock)
        return access.kind(access.engine, access.reads, None)


def _access(engine: sa.Engine) -> _Access:
    sa.event.listen(engine, "handle_error", _keep_data_back)
    if engine.dialect.name == "sqlite":
        sqlite.set_up(engine)
        return _Access(engine, "", "BEGIN IMMEDIATE", threading.Lock())
    from service.engine.database import postgresql  # with a driver for PostgreSQL only

    postgresql.set_up(engine)
    return _Access(engine, *postgresql.beginnings(engine))


db = Database(
    model_class=_Model, session_options={"class_": _RequestSession}, disable_autonaming=True
)


def current() -> Transaction:
    """The transaction that this code runs in; raises LookupError outside of one."""
    return _transaction.get()


def connection() -> sa.Connection:
    """The current transaction's connection, for statements that are not prepared."""
    return _transaction.get().connection()


def commit() -> None:
    """Commit now: only for changes that must stay even though the request is about to fail."""
    _transaction.get().commit()


def after_commit(callback: Callable[[], None]) -> None:
    """Call `callback` after the transaction has committed, and not if it is rolled back."""
    _transaction.get().after_commit.append(callback)


def _keep_data_back(context: sa.engine.ExceptionContext) -> None:
    if context.sqlalchemy_exception:
        without_data(context.sqlalchemy_exception, context.original_exception)
