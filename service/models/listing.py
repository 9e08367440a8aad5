"""Keyset paging: one prepared statement for each set of filters that is in use (RFC 8288 links)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam

from service.database import Id, Row, Select
from service.statements import Prepared


class Listing:
    """A select that is read page by page, newest first, along its UUIDv7 key.

    `filters` are conditions on bind parameters of their own names; `shape` makes a row JSON data.
    """

    def __init__(
        self,
        select: Select,
        *,
        key: Any,
        shape: Callable[[Row], dict[str, Any]],
        **filters: sa.ColumnElement[bool],
    ) -> None:
        self._select = select
        self._key = key
        self._shape = shape
        self._filters = filters
        self._statement = cache(self._build)

    def __call__(
        self, limit: int, after: UUID | None = None, order: str = "newest", **filters: Any
    ) -> list[dict[str, Any]]:
        """At most `limit` rows after the one with the id `after`; a filter of None is no filter."""
        given = {name: value for name, value in filters.items() if value is not None}
        statement = self._statement(frozenset(given), after is not None, order == "newest")
        if after is not None:
            given["after"] = after
        return [self._shape(row) for row in statement.all(**given, limit=limit)]

    def _build(self, filters: frozenset[str], after: bool, newest: bool) -> Prepared:
        statement = self._select.where(*(self._filters[name] for name in sorted(filters)))
        if after:
            bound = bindparam("after", type_=Id)
            statement = statement.where(self._key < bound if newest else self._key > bound)
        order = self._key.desc() if newest else self._key.asc()
        return Prepared(statement.order_by(order).limit(bindparam("limit")))
