"""Every table with a user's id says what becomes of its rows (service/models/ownership.py)."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from service import models
from service.engine.database.transaction import db
from service.maintenance import EXPIRING
from service.models.ownership import KEY, Exported, Ownership, declared, exported
from service.specification import specification

USERS = models.User.__table__
HOW = """
{table} has a user's id and does not say what becomes of its rows. Write below its model:

    declare(
        {model}.{column},
        export=Exported("{line}", lambda caller: partial({model}.listing, {column}=caller.id)),
    )

or say in `export` why the export leaves them out, in `kept` why they outlive the account, and give
the `size` of a row in bytes if it counts to USER_QUOTA (service/models/ownership.py).
"""


def references(table: sa.Table) -> list[sa.ForeignKey]:
    return [key for key in table.foreign_keys if key.references(USERS)]


def owners(table: sa.Table) -> set[str]:
    return {key.parent.name for key in references(table)} | {"user_id"} & {*table.c.keys()}


OWNED = [table for table in db.metadata.sorted_tables if owners(table)]
each_owned_table = pytest.mark.parametrize("table", OWNED, ids=str)


def ownership(table: sa.Table) -> Ownership:
    found: Ownership = table.info[KEY]
    return found


@each_owned_table
def test_a_table_with_a_users_id_says_what_becomes_of_its_rows(table: sa.Table) -> None:
    line = table.name.removesuffix("s")
    names = {"line": line, "model": line.title().replace("_", ""), "column": min(owners(table))}
    assert KEY in table.info, HOW.format(table=table.name, **names)
    assert ownership(table).owner.name in owners(table)


def test_the_specification_has_the_lines_that_tables_declare() -> None:
    why = "x-lines of export_account and the tables' Exported() must have the same types of lines"
    assert {"account", *exported()} == set(specification.export_lines), why
    lines = [one.export.line for one in declared() if isinstance(one.export, Exported)]
    assert len(lines) == len(set(lines))


@each_owned_table
def test_rows_that_go_with_an_account_go_with_its_row_too(table: sa.Table) -> None:
    if ownership(table).kept:
        return
    # What is written after the batches have passed would otherwise keep the user from going.
    assert {key.ondelete for key in references(table)} <= {"CASCADE"}, f"{table} must cascade"


@each_owned_table
def test_rows_of_one_user_are_found_by_an_index(table: sa.Table) -> None:
    column = ownership(table).owner.name
    firsts = [next(iter(index.columns)).name for index in table.indexes]
    firsts.append(next(iter(table.primary_key.columns)).name)
    assert column in firsts, f"{table} needs an index that begins with {column}"


@pytest.mark.parametrize("table", db.metadata.sorted_tables, ids=str)
def test_rows_with_an_end_are_purged(table: sa.Table) -> None:
    purged = {model.__table__ for model in EXPIRING}
    assert "expires_at" not in table.c or table in purged, (
        f"{table} has expires_at: add its model to EXPIRING in service/maintenance.py"
    )


@pytest.mark.parametrize("table", db.metadata.sorted_tables, ids=str)
def test_every_constraint_of_a_table_is_told_apart_by_its_name(table: sa.Table) -> None:
    # `errors.violated` finds the columns by the name.
    named = [c for c in table.constraints if not isinstance(c, sa.CheckConstraint)]
    assert all(constraint.name for constraint in named)
    assert len({constraint.name for constraint in named}) == len(named)
