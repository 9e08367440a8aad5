"""Keyset paging: one prepared statement for each combination of filters."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import accumulate, takewhile
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam

from service.engine.database.statements import Prepared
from service.engine.database.transaction import Select, current
from service.engine.database.types import Id

MAX_READ_BYTES = 1024 * 1024  # of the bulk column in one page; characters on SQLite
HIDDEN_ROWS_PER_STATEMENT = 1000  # skipped by one statement
MAX_HIDDEN_STATEMENTS = 10  # then the page ends, although more may follow
_is_hidden = itemgetter(-1)
_Kind = tuple[frozenset[str], bool, bool]
_Row = tuple[Any, ...]


class Items(NamedTuple):
    """The rows of a page. `stopped_at` is the id to continue after, if the page met hidden rows
    and more rows may follow, or if the rows have no id."""

    rows: list[dict[str, Any]]
    stopped_at: str | None = None


END = Items([])


class Listing:
    """A select that is read page by page in the order of its UUIDv7 key, by default newest first.

    `filters` are conditions, each on the bind parameter of the same name. `shape` turns a row, a
    plain tuple, into JSON data; without it, items are objects keyed by column name.
    `bulk` is a text column that can make a page too large: the page ends with the row in which its
    sizes add up to `largest` (on SQLite a few rows later: see `Prepared.within`), and later rows
    are not read.

    `hidden` is a condition, and also the last column of the select. Rows that meet it are skipped
    here and not by the database, so that a page takes a bounded time however many they are.
    `hidden_together` names a filter whose rows are either all hidden or all visible.
    """

    def __init__(
        self,
        select: Select,
        *,
        key: Any,
        shape: Callable[[_Row], dict[str, Any]] | None = None,
        bulk: Any = None,
        hidden: Any = None,
        hidden_together: str = "",
        **filters: sa.ColumnElement[bool],
    ) -> None:
        names = select.selected_columns.keys()
        self._key = key
        self._key_place = names.index(key.key)
        self._shape = shape or (lambda row: dict(zip(names, row, strict=True)))
        self._filters = filters
        self._bulk = bulk
        self.bulk: str | None = bulk.key if bulk is not None else None
        self._place = names.index(self.bulk) if self.bulk else 0
        self._hides = hidden is not None
        self._hidden_together = hidden_together
        self._statement = cache(partial(self._build, select))
        self._keys = cache(partial(self._build, select.with_only_columns(key, hidden)))
        sizes = select.with_only_columns(key, sa.func.octet_length(bulk))
        self._sizes = cache(partial(self._build, sizes))

    def __call__(
        self,
        limit: int,
        after: UUID | None = None,
        order: str = "newest",
        *,
        largest: int = MAX_READ_BYTES,
        **filters: Any,
    ) -> Items:
        """At most `limit` rows after the one with the id `after`; filters of None are ignored."""
        given = {name: value for name, value in filters.items() if value is not None}
        kind = frozenset(given), after is not None, order == "newest"
        if after is not None:
            given["after"] = after
        rows = self._rows(kind, limit, given, largest)
        if not (self._hides and any(map(_is_hidden, rows))):
            return Items([self._shape(row) for row in rows])
        if self._hidden_together in given:
            return Items([])
        return self._around_hidden((kind[0], True, kind[2]), rows, limit, given, largest)

    def _around_hidden(
        self, kind: _Kind, rows: list[_Row], limit: int, given: dict[str, Any], largest: int
    ) -> Items:
        """The page that begins with `rows`, some of which are hidden."""
        found: list[dict[str, Any]] = []
        for _ in range(MAX_HIDDEN_STATEMENTS):
            given["after"] = rows[-1][self._key_place] if rows else given["after"]
            found += [self._shape(row) for row in rows if not row[-1]]
            if len(found) == limit or self._size(found) >= largest:
                break
            keys = self._keys(*kind).tuples(**given, limit=HIDDEN_ROWS_PER_STATEMENT)
            passed = list(takewhile(_is_hidden, keys))
            given["after"] = passed[-1][0] if passed else given["after"]
            rows = []
            if len(passed) < len(keys):
                rows = self._rows(kind, limit - len(found), given, largest)
            elif len(keys) < HIDDEN_ROWS_PER_STATEMENT:
                return Items(found)
        return Items(found, str(given["after"]))

    def _size(self, items: list[dict[str, Any]]) -> int:
        return sum([len(item[self.bulk]) for item in items]) if self.bulk else 0

    def _rows(self, kind: _Kind, limit: int, given: dict[str, Any], largest: int) -> list[_Row]:
        if current().dialect.name == "sqlite":
            statement = self._statement(*kind)
            if self.bulk is None:
                return statement.tuples(**given, limit=limit)
            return statement.within(largest, self._place, **given, limit=limit)
        most = _round(limit)
        if self.bulk is None:
            return self._statement(*kind, most).tuples(**given, limit=limit)
        small = largest // limit
        rows = self._statement(*kind, most, "small").tuples(**given, limit=limit, small=small)
        if None not in [row[self._place] for row in rows]:
            return rows
        # Not with a sum in SQL: a cluster would fetch the whole table to one machine for it.
        sizes = [size for _, size in self._sizes(*kind).tuples(**given, limit=limit)]
        fitting = 1 + sum(before < largest for before in accumulate(sizes[:-1]))
        return self._statement(*kind).tuples(**given, limit=fitting)

    def _build(
        self,
        select: Select,
        filters: frozenset[str],
        after: bool,
        newest: bool,
        most: int = 0,
        form: str = "plain",
    ) -> Prepared:
        """The statement, for at most `most` rows if that is given; "small" has NULL for large
        texts."""
        statement = select.where(*(self._filters[name] for name in sorted(filters)))
        if after:
            bound = bindparam("after", type_=Id)
            statement = statement.where(self._key < bound if newest else self._key > bound)
        order = self._key.desc() if newest else self._key.asc()
        statement = statement.order_by(order)
        if form == "small":
            statement = _without_large(statement, self._bulk)
        if not most:
            return Prepared(statement.limit(bindparam("limit")))
        # PostgreSQL plans a statement anew each time if its low limit is only a parameter.
        some = statement.limit(sa.literal_column(str(most))).subquery()
        key = some.c[self._key.key]
        ordered = sa.select(*some.c).order_by(key.desc() if newest else key.asc())
        return Prepared(ordered.limit(bindparam("limit")))


def _round(limit: int) -> int:
    """The limit rounded up, so that few prepared statements serve all limits."""
    return 100 if limit <= 100 else 10 ** len(str(limit - 1))


def bounded(statement: Select, bulk: Any, *order: Any) -> Select:
    """The rows of a statement up to the one in which the bytes of `bulk` add up to
    `MAX_READ_BYTES`. Only for few rows, and for PostgreSQL, which knows the size of a text without
    reading it."""
    before = sa.func.sum(sa.func.octet_length(bulk)).over(order_by=order, rows=(None, -1))
    names = [str(column.key) for column in statement.selected_columns]
    some = statement.add_columns(
        before.label("bytes_before"), sa.func.row_number().over(order_by=order).label("place")
    ).subquery()
    within = sa.func.coalesce(some.c.bytes_before, 0) < MAX_READ_BYTES
    return sa.select(*(some.c[name] for name in names)).where(within).order_by(some.c.place)


def _without_large(statement: Select, bulk: Any) -> Select:
    small = sa.func.octet_length(bulk) <= bindparam("small", type_=sa.Integer)
    column = sa.case((small, bulk)).label(bulk.key)
    others = statement.selected_columns
    return statement.with_only_columns(*(column if c.key == bulk.key else c for c in others))
