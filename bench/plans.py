"""Measures the statements of the models in PostgreSQL: partitions, pages and times."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import flask
import psycopg
import sqlalchemy as sa

from service.engine.database.transaction import db

Statement = tuple[str, Any]  # the SQL and its parameters


@dataclass(frozen=True)
class Cost:
    """The cost of a statement: which tables or partitions it read, and medians over its runs.

    Pages have 8 kB, in memory or not; times are in milliseconds.
    """

    touched: dict[str, int]
    rows: float
    pages: float
    planning: float
    execution: float


@contextmanager
def recorded(app: flask.Flask) -> Iterator[list[Statement]]:
    """A transaction that is rolled back; the list of the statements executed in it."""
    statements: list[Statement] = []

    class Recorder(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            statements.append((query, params))
            return super().execute(query, params, **options)

    def connected(connection: psycopg.Connection[Any], _record: object) -> None:
        connection.execute("SET statement_timeout = 0")
        connection.commit()
        connection.cursor_factory = Recorder

    with app.app_context():
        db.engine.dispose()
        sa.event.listen(db.engine, "connect", connected)
        try:
            with db.transaction() as transaction:
                transaction.connection()
                statements.clear()  # of SQLAlchemy, on a new connection
                yield statements
                transaction.rollback()
        finally:
            sa.event.remove(db.engine, "connect", connected)
            db.engine.dispose()


def run(connection: psycopg.Connection[Any], statements: list[Statement]) -> list[dict[str, Any]]:
    """Run the statements of one operation with EXPLAIN ANALYZE, and roll them back."""
    with connection.transaction(force_rollback=True):
        return [_explained(connection, *statement) for statement in statements]


def load_catalog(connection: psycopg.Connection[Any], statements: list[Statement]) -> None:
    """Load the tables' definitions, so that they do not count as pages of the statement."""
    for sql, parameters in statements:
        connection.execute(f"EXPLAIN {sql}", parameters)


def measured(
    connection: psycopg.Connection[Any], runs: list[list[Statement]]
) -> list[tuple[Cost, Cost]]:
    """The costs of each statement of an operation, over its runs: when it is first run, and when it
    is run again with the same parameters."""
    first, again = ([run(connection, statements) for statements in runs] for _ in range(2))
    return [
        (_cost(list(new)), _cost(list(known)))
        for new, known in zip(zip(*first, strict=True), zip(*again, strict=True), strict=True)
    ]


def _explained(connection: psycopg.Connection[Any], sql: str, parameters: Any) -> dict[str, Any]:
    asked = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}"
    row = connection.execute(asked, parameters).fetchone()
    return row[0][0]


def _cost(plans: list[dict[str, Any]]) -> Cost:
    def middle(value: Callable[[dict[str, Any]], float]) -> float:
        return median(map(value, plans))

    touched = [_touched(plan) for plan in plans]
    tables = {table for each in touched for table in each}
    return Cost(
        touched={
            table: round(median(len(each.get(table, ())) for each in touched)) for table in tables
        },
        rows=middle(lambda plan: plan["Plan"]["Actual Rows"]),
        pages=middle(
            lambda plan: plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
        ),
        planning=middle(lambda plan: plan["Planning Time"]),
        execution=middle(lambda plan: plan["Execution Time"]),
    )


def _touched(plan: dict[str, Any]) -> dict[str, set[str]]:
    """The relations that were really read, by their names without the partition's number."""
    found: dict[str, set[str]] = {}
    for node in _nodes(plan["Plan"]):
        relation = node.get("Relation Name")
        if relation and node["Actual Loops"] and node["Node Type"] != "ModifyTable":
            found.setdefault(re.sub(r"_\d+$", "", relation), set()).add(relation)
    return found


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
