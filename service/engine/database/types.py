"""Column types that have the same values and the same order on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from service.engine.ids import rfc3339


class Id(sa.types.TypeDecorator[str]):
    """A UUID: `uuid` on PostgreSQL, its 36 characters on SQLite; a string in Python.

    The text of a UUIDv7 sorts as its bytes do, so order by id is order of creation on both.
    """

    impl = sa.CHAR(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
    cache_ok = True

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], Any]:
        return _text_or_none


class Time(sa.types.TypeDecorator[str]):
    """A moment: `timestamptz` on PostgreSQL, text on SQLite; RFC 3339 in UTC with `Z` in Python.

    Text of one width sorts as the moments do.
    """

    impl = sa.CHAR(24).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
    cache_ok = True

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any] | None:
        return _rfc3339_or_none if dialect.name == "postgresql" else None


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


def _rfc3339_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
