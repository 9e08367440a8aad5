"""Statements that libpq sends without psycopg's cursor: text in, text out.

Replaces `cursor.execute`, which looks for placeholders and types at each call, and the conversion
of ids and moments to objects that become text again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa
from psycopg.adapt import AdaptersMap, Buffer, Loader, PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.pq import ExecStatus
from psycopg.types.string import TextLoader
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from service.engine.database.types import Id, Time
from service.engine.ids import rfc3339_of_postgresql

_PLANNED_FOR_OTHER_TYPES = "0A000"  # a migration has changed the type of a column
_numbers = itertools.count()


class Statement:
    """A statement with numbered parameters; `name` is its name where a connection keeps it."""

    __slots__ = ("name", "query")

    def __init__(self, sql: str) -> None:
        self.name = b"s%d" % next(_numbers)
        self.query = sql.encode()

    def __str__(self) -> str:
        return self.query.decode()


class Result:
    """The rows and the row count of a statement, as a cursor of the DB API has them."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: list[tuple[Any, ...]], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows


class Statements:
    """The statements of one connection. Without `keep`, none is prepared: through PgBouncer, the
    next transaction may run in another session."""

    def __init__(self, connection: psycopg.Connection[Any], *, keep: bool) -> None:
        self._connection = connection
        self._keep = keep
        self._prepared: set[Statement] = set()
        self._loaders: dict[Statement, Any] = {}  # psycopg's Transformers, once there were rows

    def run(self, statement: Statement, parameters: list[bytes | None]) -> Result:
        """Raises psycopg's errors."""
        pgconn = self._connection.pgconn
        if not self._keep:
            pgconn.send_query_params(statement.query, parameters)
        else:
            if statement not in self._prepared:
                pgconn.send_prepare(statement.name, statement.query)
                self._answer()
                self._prepared.add(statement)
            pgconn.send_query_prepared(statement.name, parameters)
        result = self._answer()
        rows = result.ntuples
        if not rows:
            return Result([], result.command_tuples or 0)
        loader = self._loaders.get(statement)
        if loader is not None:
            loader.set_pgresult(result, set_loaders=False)
        else:
            loader = Transformer(_Context(self._connection))
            loader.set_pgresult(result)
            if self._keep:
                self._loaders[statement] = loader
        return Result(loader.load_rows(0, rows, tuple), rows)

    def _answer(self) -> Any:
        [result] = self._connection.wait(execute(self._connection.pgconn))
        if result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            return result
        error = error_from_result(result)
        if error.sqlstate == _PLANNED_FOR_OTHER_TYPES:
            self._connection.close()  # a lost connection: the work is done again on another
        raise error


@cache
def dialect() -> sa.Dialect:
    """psycopg's dialect with the parameters that PostgreSQL itself knows: `$1`."""
    return PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call] # is not


def as_text(
    bound: Callable[[dict[str, Any]], list[Any]],
) -> Callable[[dict[str, Any]], list[bytes | None]]:
    """Parameters as PostgreSQL reads them in a statement."""
    return lambda parameters: [_text(value) for value in bound(parameters)]


def result_processor(type_: Any) -> Callable[[Any], Any] | None:
    """What converts the values of a column of this type, once loaded.

    Raises TypeError for ids and moments of other types than `Id` and `Time`, which are the text of
    those here.
    """
    if isinstance(type_, Id | Time):
        return None
    impl = type_.dialect_impl(dialect())
    if isinstance(impl, sa.Uuid | sa.DateTime):
        raise TypeError(f"a prepared statement gives no {type(type_).__name__}: use Id or Time")
    return impl.result_processor(dialect(), None)  # type: ignore[no-any-return] # untyped there


class _Moments(Loader):
    """`timestamptz` as RFC 3339."""

    def load(self, data: Buffer) -> str:
        return rfc3339_of_postgresql(str(data, "ascii"))


class _Context(NamedTuple):
    """How the values that PostgreSQL sends are loaded (psycopg's AdaptContext)."""

    connection: psycopg.Connection[Any]

    @property
    def adapters(self) -> AdaptersMap:
        return _adapters


_adapters = AdaptersMap(psycopg.adapters)
_adapters.register_loader("uuid", TextLoader)
_adapters.register_loader("timestamptz", _Moments)
_dump = Transformer(_adapters).get_dumper


def _text(value: Any) -> bytes | None:
    """A parameter as PostgreSQL reads it; raises `psycopg.DataError` for a NUL, which would end it
    early."""
    if value is None:
        return None
    kind = type(value)
    if kind is str:
        data: bytes = value.encode()
        if b"\0" in data:
            raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        return data
    if kind is int:
        return b"%d" % value
    if kind is bool:
        return b"t" if value else b"f"
    if kind is bytes:  # psycopg's form depends on the server's standard_conforming_strings
        return b"\\x" + bytes(value).hex().encode()
    dumped = _dump(value, PyFormat.TEXT).dump(value)
    return None if dumped is None else bytes(dumped)
