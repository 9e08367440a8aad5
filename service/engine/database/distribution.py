"""Where the rows of each table are in a database of several machines, declared beside its model.

A table is in one of three places. Its `info` names the place, as a revision writes it:

- `{"place": "by owner_id"}`: spread over the machines by a hash of that column. Tables that are
  spread by foreign keys to the same column lie beside each other: equal keys are on one machine.
- `{"place": "everywhere"}`: copied to every machine, for what other tables refer to. A change locks
  the whole table until its transaction ends.
- `{"place": "coordinator"}`: on the machine that clients connect to.

`engine.database.citus` makes it so. A single machine ignores all this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

PLACE = "place"  # of a table's `info`
WITHOUT = "without"
EVERYWHERE = "everywhere"
COORDINATOR = "coordinator"
_BY = "by "
_HARMLESS = {None, "NO ACTION", "RESTRICT"}  # ON DELETE that works with a parent on one machine


def spread(column: Any) -> None:
    """Spread the rows of a table over the machines by one of its columns. Every statement that has
    to be quick must compare this column with a value. Each unique constraint must include it; to
    the primary key it is added."""
    [own] = column.property.columns
    own.table.info[PLACE] = f"{_BY}{own.name}"


def everywhere(model: Any, *, without: Sequence[str] = ()) -> None:
    """Copy a table to every machine, `without` the triggers named: none works there."""
    model.__table__.info |= {PLACE: EVERYWHERE, WITHOUT: list(without)}


def on_coordinator(model: Any) -> None:
    """Keep all rows of a table on the machine that clients connect to."""
    model.__table__.info[PLACE] = COORDINATOR


def place(table: sa.Table) -> str | None:
    """Where the rows of a table are, in the words above; None if nothing is declared."""
    found: str | None = table.info.get(PLACE)
    return found


def column_of(place: str | None) -> str | None:
    """The column by which a table in this place is spread, if it is."""
    return place.removeprefix(_BY) if place and place.startswith(_BY) else None


def group(table: sa.Table) -> str:
    """What tables that lie beside each other have in common: the column to which theirs refer."""
    column = table.c[column_of(place(table)) or ""]
    return next((str(key.column) for key in column.foreign_keys), str(column))


def flaws(metadata: sa.MetaData) -> list[str]:
    """Why the tables cannot be distributed as they are declared; [] if they can."""
    found: list[str] = []
    for table in metadata.sorted_tables:
        if place(table) is None:
            found.append(_unplaced(table))
        else:
            found += [*_loose_keys(table), *_far_parents(table)]
    return found


def _unplaced(table: sa.Table) -> str:
    owners = [column.name for column in table.columns if column.foreign_keys]
    model = table.name.rstrip("s").title().replace("_", "")
    key = [*owners, *(column.name for column in table.primary_key)][0]
    lines = [
        f"{table.name} has no place in a cluster. Beside its model, say one of",
        f"    spread({model}.{key})",
        f"    everywhere({model})",
        f"    on_coordinator({model})",
        "of service/engine/database/distribution.py, and where its revision creates it, one of",
        *(f"    info={ ({PLACE: one}) }" for one in (f"{_BY}{key}", EVERYWHERE, COORDINATOR)),
    ]
    return "\n".join(lines)


def _loose_keys(table: sa.Table) -> Iterator[str]:
    by = column_of(place(table))
    if by is None:
        return
    if by not in table.c:
        yield f"{table.name} is to be spread by {by}, which it does not have"
    elif table.c[by].nullable:
        yield f"{table.name}.{by} may be null, so it cannot say where a row is"
    unique: list[sa.UniqueConstraint | sa.Index] = [one for one in table.indexes if one.unique]
    unique += [one for one in table.constraints if isinstance(one, sa.UniqueConstraint)]
    for rule in unique:
        if by not in {column.name for column in rule.columns}:
            yield f"{rule.name} is unique without {by}, by which {table.name} is spread"


def _far_parents(table: sa.Table) -> Iterator[str]:
    for rule in table.foreign_key_constraints:
        own, its = place(table), place(rule.referred_table)
        by, parents = column_of(own), column_of(its)
        if its == EVERYWHERE:
            continue
        if its == COORDINATOR and (
            own == its or (own == EVERYWHERE and rule.ondelete in _HARMLESS)
        ):
            continue
        keys = [(key.parent.name, key.column.name) for key in rule.elements]
        if by and parents and (by, parents) in keys:
            continue
        yield f"{rule.name} refers to {rule.referred_table.name}, whose rows are on other machines"
