"""Prepared statements: SQLAlchemy compiles the SQL once for each database; the driver runs it.

Replaces Connection.execute, which costs 15 us a statement, and 25 us for the Connection around it.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from service.engine.database.transaction import Check, Row, current, db

READ_AHEAD_ROWS = 24  # rows fetched at a time: an ordinary page


class Prepared:
    """A statement that runs in the current transaction; bind parameters are keyword arguments.
    Raises SQLAlchemy's errors.
    """

    def __init__(self, statement: sa.Executable) -> None:
        self._statement: Any = statement
        self._forms: dict[str, _Form] = {}
        self._reads = _only_reads(statement)

    def first(self, **parameters: Any) -> Row | None:
        """The first row, if there is one, with its columns as attributes."""
        form, cursor = self._execute(parameters)
        row = cursor.fetchone()
        return None if row is None else form.row(row)

    def all(self, **parameters: Any) -> list[Row]:
        """All rows."""
        form, cursor = self._execute(parameters)
        return list(map(form.row, cursor.fetchall()))

    def tuples(self, **parameters: Any) -> list[tuple[Any, ...]]:
        """All rows as plain tuples: naming the columns would double the cost of many rows."""
        form, cursor = self._execute(parameters)
        return form.converted(cursor.fetchall())

    def within(self, length: int, place: int, **parameters: Any) -> list[tuple[Any, ...]]:
        """The rows, as plain tuples, up to the one where the texts in the column at `place` come to
        `length` characters, and fewer than `READ_AHEAD_ROWS` more; SQLite reads no further."""
        form, cursor = self._execute(parameters)
        rows: list[Any] = []
        while length > 0 and (some := cursor.fetchmany(READ_AHEAD_ROWS)):
            rows += some
            if len(some) < READ_AHEAD_ROWS:
                break
            length -= sum([len(row[place]) for row in some])
        cursor.close()
        return form.converted(rows)

    def write(self, **parameters: Any) -> int:
        """Run it; the number of rows inserted, changed or deleted."""
        return int(self._execute(parameters)[1].rowcount)

    def write_later(self, check: Check | None = None, **parameters: Any) -> None:
        """Run it with the next statement or with the commit, if that saves a round trip. Its errors
        are then raised there, not in a `unique` around this: see `Transaction.execute_later`."""
        transaction = current()
        form = self._form(transaction.dialect)
        transaction.execute_later(form.sql, form.bound(parameters), check)

    def peek(self, **parameters: Any) -> Row | None:
        """The first row, read in a transaction of its own, which gives its connection back at once.

        For reading before something slow, such as hashing, during which no lock may be held.
        """
        with db.transaction(writes=False):
            return self.first(**parameters)

    def _execute(self, parameters: dict[str, Any]) -> tuple[_Form, Any]:
        transaction = current()
        form = self._form(transaction.dialect)
        bound = form.bound(parameters)
        return form, transaction.execute(form.sql, bound, reads=self._reads)

    def _form(self, dialect: sa.Dialect) -> _Form:
        form = self._forms.get(dialect.name)
        if form is None:
            form = self._forms[dialect.name] = _form(self._statement, dialect)
        return form


def insertion(model: Any, *, where: sa.CTE | None = None) -> Prepared:
    """An INSERT of every column; with `where`, it inserts only if that CTE returns a row."""
    columns = model.__table__.columns
    given = {column.name: sa.bindparam(column.name, type_=column.type) for column in columns}
    if where is None:
        return Prepared(sa.insert(model).values(given))
    row = sa.select(*given.values()).select_from(where)
    return Prepared(sa.insert(model).from_select(list(given), row))


def _only_reads(statement: Any) -> bool:
    """Whether it leaves neither a change nor a lock behind."""
    return isinstance(statement, sa.Select) and not any(map(_acts, visitors.iterate(statement)))


def _acts(part: Any) -> bool:
    if isinstance(part, sa.Function):
        return part.name.startswith(("pg_", "set_"))  # such as advisory locks
    locks = isinstance(part, sa.Select) and part._for_update_arg is not None
    return locks or isinstance(part, sa.sql.dml.UpdateBase)


_Processor = Callable[[Any], Any] | None


class _Form(NamedTuple):
    """A statement for one driver: its SQL, and how to convert parameters and rows."""

    sql: Any  # text, or libpq's Statement
    bound: Callable[[dict[str, Any]], Any]
    row: Callable[[Any], Row]
    converted: Callable[[list[Any]], list[tuple[Any, ...]]]


def _form(statement: Any, dialect: sa.Dialect) -> _Form:
    if dialect.name == "postgresql":
        from service.engine.database import libpq  # imports psycopg, which only PostgreSQL needs

        dialect = libpq.dialect()
        compiled, binder = _compiled(statement, dialect)
        makers = _makers(statement, libpq.result_processor)
        return _Form(libpq.Statement(str(compiled)), binder, *makers)

    compiled, binder = _compiled(statement, dialect)
    makers = _makers(statement, partial(_result_processor, dialect))
    return _Form(str(compiled), binder, *makers)


def _result_processor(dialect: sa.Dialect, type_: Any) -> _Processor:
    return type_.dialect_impl(dialect).result_processor(dialect, None)  # type: ignore[no-any-return] # SQLAlchemy has no type for it


def _compiled(statement: Any, dialect: sa.Dialect) -> tuple[Any, Callable[[dict[str, Any]], Any]]:
    """The statement in the dialect's SQL, and what converts named parameters for the driver."""
    compiled = statement.compile(dialect=dialect)
    if compiled.post_compile_params:
        raise ValueError("a list of any length cannot be prepared")
    binds = {name: bind for bind, name in compiled.bind_names.items()}
    processors = {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for name, bind in binds.items()
    }
    fixed = {name: compiled.params[name] for name, bind in binds.items() if not bind.required}
    return compiled, _binder(processors, fixed, compiled.positiontup or [])


def _binder(
    processors: dict[str, _Processor], fixed: dict[str, Any], order: list[str]
) -> Callable[[dict[str, Any]], list[Any]]:
    """Converts named parameters to what the driver binds, in `order`."""
    processed = [(name, process) for name, process in processors.items() if process]

    def bound(parameters: dict[str, Any]) -> list[Any]:
        values = {**fixed, **parameters}
        for name, process in processed:
            values[name] = process(values[name])
        return [values[name] for name in order]

    return bound


def _makers(
    statement: Any, result_processor: Callable[[Any], _Processor]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Two converters: from a driver's row to a named tuple, and from rows to plain tuples."""
    columns = list(getattr(statement, "exported_columns", ()))
    row_type = namedtuple("Row", [column.name for column in columns])  # type: ignore[misc]
    named: Any = row_type._make
    processors = [result_processor(column.type) for column in columns]
    processed = [(place, process) for place, process in enumerate(processors) if process]
    if not processed:
        return named, list

    def converted(row: Any) -> list[Any]:
        values = list(row)
        for place, process in processed:
            values[place] = process(values[place])
        return values

    return lambda row: named(converted(row)), lambda rows: [tuple(converted(row)) for row in rows]
