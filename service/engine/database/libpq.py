"""Statements that libpq sends without psycopg's cursor: text in, text out.

Replaces `cursor.execute`, which looks for placeholders and types at each call. Ids and moments stay
text: psycopg would make objects of them, which become text again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa
from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.types.string import TextLoader
from psycopg.waiting import Ready, Wait
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from service.engine.database.errors import NOT_SUPPORTED
from service.engine.database.types import Id, Time
from service.engine.ids import rfc3339_of_postgresql

_SUCCEEDED = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
_SYNC = ExecStatus.PIPELINE_SYNC
_PLANNED_FOR_OTHER_TYPES = "RevalidateCachedQuery"  # a migration has changed a column's type
MAX_PREPARED = 250  # statements on one connection; any others are planned each time
_numbers = itertools.count()
Parameters = list[Any]  # as Python has them


class Statement:
    """A statement with numbered parameters. A connection keeps it under its `name`, which holds the
    first words of the SQL for whoever reads logs or packets."""

    __slots__ = ("name", "query")

    def __init__(self, sql: str) -> None:
        self.name = f"{next(_numbers)} {' '.join(sql.split()[:3])}".encode()
        self.query = sql.encode()

    def __str__(self) -> str:
        return self.query.decode()


BEGIN: tuple[Statement, Parameters] = (Statement("BEGIN"), [])
COMMIT: tuple[Statement, Parameters] = (Statement("COMMIT"), [])


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
    """The statements of one connection. Unless it may `keep` them, none is prepared: through
    PgBouncer, the next transaction may run in another session."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.keep = False
        self._prepared: set[Statement] = set()
        self._loaders: dict[Statement, Any] = {}  # psycopg's Transformers, once there were rows

    def run(self, statement: Statement, parameters: Parameters) -> Result:
        """Raises psycopg's errors."""
        values = _as_text(parameters)
        self._prepare(statement)
        self._send(statement, values)
        return self._result(statement, self._answer(statement))

    def run_together(
        self, statements: Sequence[tuple[Statement, Parameters]]
    ) -> list[Result | psycopg.Error]:
        """The results of statements that are sent in one round trip, up to the first error, which
        is the last element. They must be in a transaction: in one that is open, or in one that the
        first of them begins."""
        pgconn = self._connection.pgconn
        sent = []
        for statement, parameters in statements:
            sent.append((statement, _as_text(parameters)))
            self._prepare(statement)
        try:
            pgconn.enter_pipeline_mode()
            for statement, values in sent:
                self._send(statement, values)
            pgconn.pipeline_sync()
            answers = self._connection.wait(_answers(pgconn))
            pgconn.exit_pipeline_mode()
        except BaseException:  # nobody could go on with a connection in this mode
            self._connection.close()
            raise
        results: list[Result | psycopg.Error] = []
        for (statement, _), answer in zip(statements, answers, strict=False):
            if error := self._error(statement, answer):
                return [*results, error]
            results.append(self._result(statement, answer))
        return results

    def _prepare(self, statement: Statement) -> None:
        if statement in self._prepared:
            return
        if self.keep and len(self._prepared) < MAX_PREPARED:
            self._connection.pgconn.send_prepare(statement.name, statement.query)
            self._answer(statement)
            self._prepared.add(statement)

    def _send(self, statement: Statement, values: list[bytes | None]) -> None:
        if statement in self._prepared:
            self._connection.pgconn.send_query_prepared(statement.name, values)
        else:
            self._connection.pgconn.send_query_params(statement.query, values)

    def _result(self, statement: Statement, answer: Any) -> Result:
        rows = answer.ntuples
        if not rows:
            return Result([], answer.command_tuples or 0)
        loader = self._loaders.get(statement)
        if loader is not None:
            loader.set_pgresult(answer, set_loaders=False)
        else:
            loader = Transformer(_Context(self._connection))
            loader.set_pgresult(answer)
            if statement in self._prepared:
                self._loaders[statement] = loader
        loaded = loader.load_rows(0, rows, tuple)
        loader.set_pgresult(None, set_loaders=False)  # which would be kept until the next time
        return Result(loaded, rows)

    def _answer(self, statement: Statement) -> Any:
        # A second answer says that the statement succeeded, but could not be committed.
        answers = self._connection.wait(execute(self._connection.pgconn))
        if error := self._error(statement, answers[-1]):
            raise error
        return answers[0]

    def _error(self, statement: Statement, answer: Any) -> psycopg.Error | None:
        if answer.status in _SUCCEEDED:
            return None
        error = error_from_result(answer)
        if (
            statement in self._prepared
            and error.sqlstate == NOT_SUPPORTED
            and error.diag.source_function == _PLANNED_FOR_OTHER_TYPES
        ):
            self._connection.close()  # a lost connection: the work is done again on another
        return error


def _answers(pgconn: Any) -> Any:
    """psycopg's kind of generator: sends what waits in pipeline mode, and returns all answers."""
    while pgconn.flush():
        if (yield Wait.RW) & Ready.R:
            pgconn.consume_input()
    found: list[Any] = []
    while True:
        while pgconn.is_busy():
            yield Wait.R
            pgconn.consume_input()
        answer = pgconn.get_result()
        if answer is None:  # of this statement there are no more
            if pgconn.status != ConnStatus.OK:
                raise psycopg.OperationalError("the connection is lost")
        elif answer.status == _SYNC:
            return found
        else:
            found.append(answer)


@cache
def dialect() -> sa.Dialect:
    """psycopg's dialect with the parameters that PostgreSQL itself knows: `$1`."""
    return PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call] # SQLAlchemy has no type for it


def result_processor(type_: Any) -> Callable[[Any], Any] | None:
    """What converts the values of a column of this type, once loaded.

    Raises TypeError for ids and moments of other types than `Id` and `Time`: they are loaded as the
    text that PostgreSQL sends.
    """
    if isinstance(type_, Time):
        return _moment
    if isinstance(type_, Id | sa.Float):
        return None
    impl = type_.dialect_impl(dialect())
    if isinstance(impl, sa.Uuid | sa.DateTime):
        raise TypeError(f"a prepared statement gives no {type(type_).__name__}: use Id or Time")
    return impl.result_processor(dialect(), None)  # type: ignore[no-any-return] # SQLAlchemy has no type for it


def _moment(text: str | None) -> str | None:
    return None if text is None else rfc3339_of_postgresql(text)


class _Context(NamedTuple):
    """How the values that PostgreSQL sends are loaded (psycopg's AdaptContext)."""

    connection: psycopg.Connection[Any]

    @property
    def adapters(self) -> AdaptersMap:
        return _adapters


_adapters = AdaptersMap(psycopg.adapters)
# Both as text: a loader in Python would be called for each value, which costs 0.6 us.
_adapters.register_loader("uuid", TextLoader)
_adapters.register_loader("timestamptz", TextLoader)
_dump = Transformer(_adapters).get_dumper


def _as_text(parameters: Parameters) -> list[bytes | None]:
    return [_text(value) for value in parameters]


def _text(value: Any) -> bytes | None:
    """A parameter as the text that PostgreSQL reads. Raises PostgreSQL's own error for a NUL, which
    would cut it off."""
    if value is None:
        return None
    kind = type(value)
    if kind is str:
        data: bytes = value.encode()
        if b"\0" in data:
            raise psycopg.errors.CharacterNotInRepertoire("a text contains NUL")
        return data
    if kind is int:
        return b"%d" % value
    if kind is bool:
        return b"t" if value else b"f"
    if kind is bytes:  # psycopg's form depends on the server's standard_conforming_strings
        return b"\\x" + bytes(value).hex().encode()
    dumped = _dump(value, PyFormat.TEXT).dump(value)
    return None if dumped is None else bytes(dumped)
