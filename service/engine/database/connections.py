"""The connections of an engine, for threads and for jobs on the event loop."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa

from service.engine.work import greenlets

MOST_IDLE = "most_idle"  # the option of an engine: how many are kept for the event loop
QUIET_SECONDS = 1.0  # ping a connection idle for this long: a firewall may have dropped it


def engine_options(
    address: str, connections: int, known: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The URL and the options of the engine for a database."""
    options: dict[str, Any] = {
        "execution_options": known,
        "hide_parameters": True,
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": 5,
        "pool_use_lifo": True,  # the connection that was used last has the most in its cache
    }
    if address.startswith("sqlite:"):
        return address, options
    from service.engine.database import postgresql  # imports psycopg, which only PostgreSQL needs

    url, own = postgresql.engine_options(address)
    own["execution_options"] = known | own.get("execution_options", {})
    return url, options | own


class Connections:
    """Connections of the engine's pool.

    Those that jobs on the event loop give back are kept here for the next job, because the pool
    would block the loop while it opens, checks or resets one.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._most_idle: int = engine.get_execution_options().get(MOST_IDLE, 1)
        self._idle: list[Any] = []  # the last one was used last, and has the most in its cache

    def in_use(self) -> int:
        """How many are in transactions, or about to be."""
        pool: Any = self._engine.pool
        return int(pool.checkedout()) - sum(pooled._pool is pool for pooled in self._idle.copy())

    def take(self) -> Any:
        """A connection of the pool; raises what the pool raises."""
        if not greenlets.is_here():
            return self._engine.raw_connection()
        while self._idle:
            pooled = self._idle.pop()
            if not self._is_trusted(pooled):
                pooled.invalidate()
            elif self._works(pooled):
                return pooled
            else:  # most likely the others do not work either: do not wait for each of them
                self._engine.pool._invalidate(pooled)
        return greenlets.aside(self._engine.raw_connection)

    def give_back(self, pooled: Any) -> None:
        """Take back a connection; what was not committed is rolled back."""
        driver = pooled.dbapi_connection
        if driver is None:  # it was lost, and the pool knows
            return
        # Its own pool, if that was disposed of, would forget it without closing it.
        if pooled._pool is not self._engine.pool:
            pooled.invalidate()
            return
        try:
            if driver.in_transaction:
                driver.rollback()  # the pool would do it, and log a lost connection as a fault
        except self._engine.dialect.loaded_dbapi.Error as error:
            pooled.invalidate(error)
            return
        if not greenlets.is_here():
            self._leave_to_pool(pooled)
            return
        if len(self._idle) >= self._most_idle:
            self._leave_to_threads(pooled)
            return
        driver.used_at = time.monotonic()
        self._idle.append(pooled)

    def close(self) -> None:
        """Give the idle ones to the pool. Call this on the event loop's thread."""
        while self._idle:
            self._leave_to_threads(self._idle.pop())

    def _is_trusted(self, pooled: Any) -> bool:
        """Whether it is of the engine's present pool (`dispose` makes a new one), and no connection
        of the pool was lost since it was opened."""
        pool: Any = self._engine.pool
        return pooled._pool is pool and pooled._connection_record.starttime >= pool._invalidate_time

    def _works(self, pooled: Any) -> bool:
        """Whether it still works: the server may have ended it, or a firewall forgotten it."""
        dialect = self._engine.dialect
        try:
            return dialect.do_ping(pooled.dbapi_connection)
        except dialect.loaded_dbapi.Error:
            return False

    def _leave_to_threads(self, pooled: Any) -> None:
        """Give a connection to the pool. A thread may close it there, and must not touch the
        loop."""
        pooled.dbapi_connection.socket.close()
        self._leave_to_pool(pooled)

    def _leave_to_pool(self, pooled: Any) -> None:
        pool = pooled._pool
        pooled.close()
        if pool is not self._engine.pool:  # it was disposed of meanwhile, and would not close it
            pool.dispose()
