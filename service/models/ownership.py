"""What becomes of rows that belong to a user. Each table with a user's id declares it, once:

- the export of an account walks over what is exported, in the order of the specification;
- the removal of a deleted account walks over what is not kept;
- the count of what users store, where it is missing, is the sum of the sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from service.caller import Caller
from service.engine.database.listing import Items
from service.engine.database.transaction import db

KEY = "ownership"  # of a table's `info`
Keys = list[tuple[Any, ...]]


class Removal(Protocol):
    """Removes rows of an account in batches: by keys, that are read before without a lock."""

    def keys(self, user_id: str, after: tuple[Any, ...] | None) -> Keys:
        """The next keys in the order of removal."""

    def remove(self, keys: Keys) -> None:
        """Remove what has these keys."""


@dataclass(frozen=True)
class Exported:
    """What the export does with rows: lines of this `type`, made of these pages of a caller's."""

    line: str
    items: Callable[[Caller], Callable[..., Items]]


@dataclass(frozen=True)
class Ownership:
    """See `declare`."""

    owner: sa.Column[Any]
    export: Exported | str
    kept: str
    size: sa.ColumnElement[int] | None


def declare(
    owner: Any,
    *,
    export: Exported | str,
    kept: str = "",
    size: sa.ColumnElement[int] | None = None,
) -> None:
    """Declare what becomes of the rows of a table whose column `owner` is the id of a user.

    `export` is how they are exported, or why they are not. They are removed in batches after the
    account is deleted, unless `kept` says why not. `size` is what a row counts to the quota, in
    bytes.
    """
    [column] = owner.property.columns
    column.table.info[KEY] = Ownership(column, export, kept, size)


def declared() -> Iterator[Ownership]:
    """What the tables declare, parents first."""
    for table in db.metadata.sorted_tables:
        if KEY in table.info:
            yield table.info[KEY]


def exported() -> dict[str, Callable[[Caller], Callable[..., Items]]]:
    """The pages of each type of line that the export has of a caller."""
    exports = (one.export for one in declared())
    return {one.line: one.items for one in exports if isinstance(one, Exported)}


# What has to be removed piece by piece on SQLite, before the rows themselves.
piecemeal_on_sqlite: list[Removal] = []
