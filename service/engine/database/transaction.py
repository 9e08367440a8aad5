"""The database: one extension object, one transaction a request, and what its errors mean."""

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
from service.engine.database.errors import without_data

REPLICA = "replica"  # the name of its engine
READINESS = "readiness"  # the name of the engine with the one connection that probes are told of


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

    `begin` is what starts it; without it, each statement is committed by itself.
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
        self.is_committed = False  # or may be, when the commit has failed
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

    def execute(self, sql: str, parameters: Any) -> Any:
        """The driver's cursor after a statement; raises SQLAlchemy's errors, or `Unavailable` when
        SQLite's one writer is not free in time."""
        try:
            return self._execute(sql, parameters)
        except self._engine.dialect.loaded_dbapi.Error as error:
            raise self._wrapped(error) from None

    def connection(self) -> sa.Connection:
        """The connection as SQLAlchemy's, for the ORM and for statements made on the way; raises as
        `execute` does."""
        self._asked(self._begun)
        if self._connection is None:
            self._connection = sa.Connection(self._engine, self._pooled)
        if not self._connection.in_transaction():
            self._connection.begin()  # otherwise an ORM session begins its own
        return self._connection

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Ends a statement of the block that takes longer; `refusal` makes it `Unavailable`."""
        driver = self._asked(self._begun)
        if self._engine.dialect.name == "sqlite":
            with sqlite.limited(driver, seconds):
                yield
        else:
            self._asked(driver.limit, seconds)
            yield

    def commit(self) -> None:
        self.is_committed = True
        if self._connection is not None:
            self._connection.commit()
        if self._driver is not None and self._driver.in_transaction:
            self._asked(self._driver.commit)
        for call in self.after_commit:
            call()
        self.after_commit.clear()

    def rollback(self) -> None:
        self.after_commit.clear()
        if self._connection is not None:
            self._connection.rollback()
        if self._driver is not None and self._driver.in_transaction:
            self._asked(self._driver.rollback)

    def unlock(self) -> None:
        """Let others write on SQLite; nothing may have been written yet. The next statement begins
        anew."""
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

    def _execute(self, sql: str, parameters: Any) -> Any:
        return self._begun().execute(sql, parameters)

    def _begun(self) -> Any:
        """The driver's connection, in the transaction."""
        driver = self._driver or self._open()
        if self._begin and not driver.in_transaction:
            driver.execute(self._begin)
        return driver

    def _open(self) -> Any:
        # One queue for writers costs less than SQLite's own busy loop (see docs/architecture).
        if self._lock and not self._lock.acquire(timeout=sqlite.WRITE_TIMEOUT_SECONDS):
            raise problems.Unavailable("The database is busy.")
        try:
            self._pooled = self._engine.raw_connection()
        except BaseException:
            if self._lock:
                self._lock.release()
            raise
        self._driver = self._pooled.driver_connection
        return self._driver

    def _asked(self, question: Callable[..., Any], *arguments: Any) -> Any:
        """What the driver answers; its errors as SQLAlchemy's."""
        try:
            return question(*arguments)
        except self._engine.dialect.loaded_dbapi.Error as error:
            raise self._wrapped(error) from None

    def _wrapped(self, error: Any) -> BaseException:
        dialect, pooled = self._engine.dialect, self._pooled
        gone = pooled is not None and dialect.is_disconnect(error, pooled, None)
        if gone:  # and so are, most likely, the others that it was opened with
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
    """How transactions are made: on which engine, begun by what, writers one at a time or not."""

    engine: sa.Engine
    reads: str
    writes: str
    lock: threading.Lock | None = None
    kind: type[Transaction] = Transaction  # another where statements are traced


class Database(SQLAlchemy):
    """Flask-SQLAlchemy with the engines set up per dialect and with explicit transactions."""

    def init_app(self, app: flask.Flask) -> None:
        super().init_app(app)
        with app.app_context():
            engines = self.engines
        app.extensions["databases"] = {name: _access(engines[name]) for name in engines}

    def transaction(self, *, writes: bool = True, replica: bool = False) -> Transaction:
        """One transaction for all statements in its block; commits only when told to.

        SQLite begins it with `BEGIN IMMEDIATE` when it `writes`, so that a read followed by a write
        never fails for want of the lock. When it does not, each statement sees what is committed
        by then, as PostgreSQL's do in any transaction. `replica` is for reads, and reads there.
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
    from service.engine.database import postgresql  # with its driver, which SQLite does without

    postgresql.set_up(engine)
    return _Access(engine, *postgresql.beginnings(engine))


db = Database(
    model_class=_Model, session_options={"class_": _RequestSession}, disable_autonaming=True
)


def current() -> Transaction:
    """The transaction this code runs in; LookupError outside of one."""
    return _transaction.get()


def connection() -> sa.Connection:
    """SQLAlchemy's connection of that transaction, for statements that are not prepared."""
    return _transaction.get().connection()


def commit() -> None:
    """Commit now: only for what must stay although the request is about to fail."""
    _transaction.get().commit()


def after_commit(call: Callable[[], None]) -> None:
    """Call this once the transaction is committed, and not at all if it never is."""
    _transaction.get().after_commit.append(call)


def _keep_data_back(context: sa.engine.ExceptionContext) -> None:
    if context.sqlalchemy_exception:
        without_data(context.sqlalchemy_exception, context.original_exception)
