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
    CONNECTED  A connection of the pool and, to write on SQLite, the writers' lock. Reads stay here,
               except through PgBouncer: without a BEGIN, each statement commits by itself.
    BEGUN      All statements are committed or rolled back together. After a commit, the next
               statement begins anew.

Only the thread, or the job on the event loop, that entered a transaction may use it. `is_committed`
is set before the driver is told to commit, and unset only if the database says that it has not: if
the connection is lost meanwhile, nobody knows whether it has, and the work must not be done again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import flask
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy

from service.engine import problems
from service.engine.database import sqlite
from service.engine.database.access import Access, access, current_transaction
from service.engine.database.errors import BUSY, as_sqlalchemy, is_refused
from service.engine.database.model import Model, RequestSession

REPLICA = "replica"  # the name of its engine
READINESS = "readiness"  # the name of the engine with the one connection for readiness checks


class Transaction:
    """A transaction that takes a connection at the first statement and gives it back at the end.

    `_begin`, from `access`, is the SQL that starts it; if empty, each statement commits by itself.
    """

    __slots__ = (
        "_begin",
        "_connection",
        "_connections",
        "_driver",
        "_engine",
        "_lock",
        "_pooled",
        "_queue",
        "_sends_together",
        "_token",
        "after_commit",
        "is_committed",
    )

    def __init__(self, access: Access, *, writes: bool) -> None:
        self._engine = access.engine
        self._connections = access.connections
        self._begin = access.writes if writes else access.reads
        self._lock = access.lock if writes else None
        self._sends_together = access.sends_together
        self._queue: list[_Queued] = []
        self.is_committed = False  # also True if nobody knows
        self._pooled: Any = None
        self._driver: Any = None
        self._connection: sa.Connection | None = None
        self.after_commit: list[Callable[[], None]] = []

    def __enter__(self) -> Transaction:
        self._token = current_transaction.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        current_transaction.reset(self._token)
        self.close()

    @property
    def dialect(self) -> sa.Dialect:
        return self._engine.dialect

    def execute(self, sql: Any, parameters: Any, *, reads: bool = False) -> Any:
        """Run a statement; its cursor or `libpq.Result`. `reads` promises that it only reads.

        Raises SQLAlchemy's errors, or `Unavailable` if another writer holds SQLite for too long.
        """
        try:
            return self._execute(sql, parameters, reads)
        except self._engine.dialect.loaded_dbapi.Error as error:
            raise as_sqlalchemy(error, self._engine, self._pooled) from None

    def execute_later(self, sql: Any, parameters: Any, check: Check | None = None) -> None:
        """Run a statement with the next one or with the commit, if that saves a round trip, and now
        if not. Its errors are raised there, and so are those of `check`, which is called with the
        number of rows. When `check` raises at the commit, everything is committed already, so the
        statements after this one must then have done nothing, by a foreign key or a condition."""
        if self._sends_together:
            self._queue.append((sql, parameters, check))
            return
        rowcount = self.execute(sql, parameters).rowcount
        if check:
            check(rowcount)

    def send_queued(self) -> None:
        """Run now what `execute_later` has queued; raises as `execute` does, and what checks do."""
        if self._queue:
            self._call_driver(self._run_queue)

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
        """End statements after this many seconds, as `Unavailable`: on SQLite all of the block
        together, on PostgreSQL each one from here to the end of the transaction."""
        driver = self._call_driver(self._begun_connection)
        if self._engine.dialect.name == "sqlite":
            with sqlite.limited(driver, seconds):
                yield
        else:
            self._call_driver(driver.limit, seconds)
            yield

    def commit(self) -> None:
        self.is_committed = True
        try:
            if self._queue:
                self._call_driver(self._run_queue, True)
            if self._connection is not None:
                self._connection.commit()
            if self._driver is not None and self._driver.in_transaction:
                self._call_driver(self._driver.commit)
        except sa.exc.DBAPIError as error:
            if is_refused(error):
                self.is_committed = False
            raise
        for callback in self.after_commit:
            callback()
        self.after_commit.clear()

    def rollback(self) -> None:
        self.after_commit.clear()
        self._queue.clear()
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
        self._queue.clear()
        if self._driver is not None:
            try:
                if self._connection is not None:
                    with suppress(sa.exc.DBAPIError):  # a lost connection has rolled back
                        self._connection.rollback()
                self._connections.give_back(self._pooled)
            finally:
                self._connection = self._pooled = self._driver = None
                if self._lock:
                    self._lock.release()

    def _execute(self, sql: Any, parameters: Any, reads: bool) -> Any:
        if not self._sends_together or isinstance(sql, str):
            return self._begun_connection().execute(sql, parameters)
        driver = self._driver or self._open_connection()
        if self._queue or not (reads or driver.in_transaction):
            self._queue.append((sql, parameters, None))
            return self._run_queue()
        return driver.execute(sql, parameters)

    def _begun_connection(self) -> Any:
        """The driver's connection, with the transaction begun."""
        if self._queue:
            self._run_queue()
        driver = self._driver or self._open_connection()
        if self._begin and not driver.in_transaction:
            driver.execute(self._begin)
        return driver

    def _run_queue(self, commits: bool = False) -> Any:
        """Send the queued statements in one round trip, which may also begin and end the
        transaction; the result of the last of them."""
        queue, self._queue = self._queue, []
        driver = self._driver or self._open_connection()
        results = driver.execute_together([each[:2] for each in queue], commits=commits)
        failed = isinstance(results[-1], Exception)
        checks = [check for _, _, check in queue[: len(results) - failed]]
        if failed and any(checks) and driver.in_transaction:
            driver.rollback()  # so that a check can ask the database for the reason
        for check, result in zip(checks, results, strict=False):
            if check:
                check(result.rowcount)
        if failed:
            raise results[-1]
        return results[-1]

    def _open_connection(self) -> Any:
        # One queue for writers costs less than SQLite's own busy loop (docs/architecture.md).
        if self._lock and not self._lock.acquire(timeout=sqlite.WRITE_TIMEOUT_SECONDS):
            raise problems.Unavailable(BUSY)
        try:
            self._pooled = self._connections.take()
        except BaseException:
            if self._lock:
                self._lock.release()
            raise
        self._driver = self._pooled.dbapi_connection
        return self._driver

    def _call_driver(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call the driver, with its errors turned into SQLAlchemy's."""
        try:
            return function(*arguments)
        except self._engine.dialect.loaded_dbapi.Error as error:
            raise as_sqlalchemy(error, self._engine, self._pooled) from None


Check = Callable[[int], None]
_Queued = tuple[Any, Any, Check | None]
Row = sa.Row[*tuple[Any, ...]]
Select = sa.Select[*tuple[Any, ...]]


class Database(SQLAlchemy):
    """Flask-SQLAlchemy with the engines set up per dialect and with explicit transactions."""

    def init_app(self, app: flask.Flask) -> None:
        super().init_app(app)
        with app.app_context():
            engines = self.engines
        app.extensions["databases"] = {name: access(engines[name]) for name in engines}

    def connections_in_use(self) -> int:
        """How many connections to the database are in transactions, or about to be."""
        primary: Access = flask.current_app.extensions["databases"][None]
        return primary.connections.in_use()

    def close(self) -> None:
        """Close all connections. Call this on the event loop's thread."""
        for each in flask.current_app.extensions["databases"].values():
            each.connections.close()
            each.engine.dispose()

    def transaction(self, *, writes: bool = True, replica: bool = False) -> Transaction:
        """One transaction for all statements in its block; commits only when told to.

        If it `writes`, SQLite begins it with `BEGIN IMMEDIATE`, so that a read followed by a write
        never fails to get the lock. If not, each statement sees what was committed before it, as
        every statement does on PostgreSQL. `replica` reads from the replica.
        """
        one: Access = flask.current_app.extensions["databases"][REPLICA if replica else None]
        return (one.kind or Transaction)(one, writes=writes)


db = Database(
    model_class=Model, session_options={"class_": RequestSession}, disable_autonaming=True
)


def current() -> Transaction:
    """The transaction that this code runs in; raises LookupError outside of one."""
    return current_transaction.get()


def connection() -> sa.Connection:
    """The current transaction's connection, for statements that are not prepared."""
    return current_transaction.get().connection()


def commit() -> None:
    """Commit now: only for changes that must stay even though the request is about to fail."""
    current_transaction.get().commit()


def after_commit(callback: Callable[[], None]) -> None:
    """Call `callback` after the transaction has committed, and not if it is rolled back."""
    current_transaction.get().after_commit.append(callback)
