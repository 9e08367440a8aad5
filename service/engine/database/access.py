"""How transactions begin, and where they get a connection, on each of the two databases."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from service.engine.database import sqlite
from service.engine.database.connections import Connections
from service.engine.database.errors import without_data

if TYPE_CHECKING:
    from service.engine.database.transaction import Transaction


current_transaction: ContextVar[Transaction] = ContextVar("transaction")


class Access(NamedTuple):
    """How transactions of one database begin: the SQL for reads and for writes, and a lock if it
    has one writer."""

    engine: sa.Engine
    connections: Connections
    reads: str
    writes: str
    lock: threading.Lock | None = None
    sends_together: bool = False  # whether several statements can take one round trip
    kind: type[Transaction] | None = None  # a subclass if statements are traced


def access(engine: sa.Engine) -> Access:
    """How to use the database of an engine."""
    sa.event.listen(engine, "handle_error", _keep_data_back)
    if engine.dialect.name == "sqlite":
        sqlite.set_up(engine)
        return Access(engine, Connections(engine), "", "BEGIN IMMEDIATE", threading.Lock())
    from service.engine.database import postgresql  # imports psycopg, which only PostgreSQL needs

    postgresql.set_up(engine)
    together = not postgresql.is_pooled(engine)
    beginnings = postgresql.beginnings(engine)
    return Access(engine, Connections(engine), *beginnings, sends_together=together)


def _keep_data_back(context: sa.engine.ExceptionContext) -> None:
    if context.sqlalchemy_exception:
        without_data(context.sqlalchemy_exception, context.original_exception)
