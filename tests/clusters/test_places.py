"""Each table says where its rows are in a cluster, and its keys let it be there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.engine.database.distribution import COORDINATOR, EVERYWHERE, PLACE, flaws, place
from service.engine.database.transaction import db
from service.places import MIGRATIONS

# From before revisions said where the rows of a table are: `byline db distribute` moves them.
LAST_WITHOUT_PLACES = {"posts": 2, "users": 17}
CREATION = re.compile(r"op\.create_table\(\n\s+(\".*?\n    \))", re.DOTALL)


def test_each_table_has_a_place_in_a_cluster_that_its_keys_allow():
    wrong = flaws(db.metadata)
    assert not wrong, "\n".join(wrong)


def test_a_revision_says_where_the_rows_of_a_new_table_are():
    for path in sorted((MIGRATIONS / "versions").glob("*.py")):
        branch, number, _ = path.stem.split("_", 2)
        if int(number) > LAST_WITHOUT_PLACES.get(branch, 0):
            _check_creations(path)


def _check_creations(path: Path) -> None:
    for creation in CREATION.findall(path.read_text()):
        name = creation.partition(",")[0].strip('"')
        where = place(db.metadata.tables[name]) if name in db.metadata.tables else COORDINATOR
        assert f'info={{"{PLACE}": "{where}"}}' in creation, (
            f'{path.name}: add to the creation of {name}\n    info={{"{PLACE}": "{where}"}},'
        )


def table(name: str, where: str | None, *more: sa.schema.SchemaItem) -> sa.Table:
    columns = sa.Column("id", sa.Uuid, primary_key=True), sa.Column("name", sa.String(9))
    return sa.Table(name, METADATA, *columns, *more, info={PLACE: where} if where else {})


METADATA = sa.MetaData(naming_convention=db.metadata.naming_convention)


@pytest.fixture(autouse=True)
def _people():
    """Tables of each kind, which others refer to."""
    METADATA.clear()
    table("people", EVERYWHERE)
    table("notes", COORDINATOR)
    table("books", "by id")


def parent(column: str, parents: str, ondelete: str | None = None) -> sa.Column[str]:
    key = sa.ForeignKey(f"{parents}.id", ondelete=ondelete)
    return sa.Column(column, sa.Uuid, key, nullable=False)


def test_a_table_without_a_place_is_shown_the_lines_to_write():
    table("projects", None, parent("owner_id", "people"))
    [flaw] = flaws(METADATA)
    assert flaw.splitlines() == [
        "projects has no place in a cluster. Beside its model, say one of",
        "    spread(Project.owner_id)",
        "    everywhere(Project)",
        "    on_coordinator(Project)",
        "of service/engine/database/distribution.py, and where its revision creates it, one of",
        "    info={'place': 'by owner_id'}",
        "    info={'place': 'everywhere'}",
        "    info={'place': 'coordinator'}",
    ]


@pytest.mark.parametrize(
    ("where", "more", "flaw"),
    [
        ("by author_id", [], "pages is to be spread by author_id, which it does not have"),
        ("by name", [], "pages.name may be null, so it cannot say where a row is"),
        ("by id", [sa.UniqueConstraint("name")], "uq_pages_name is unique without id"),
        ("by id", [sa.Index(None, "name", unique=True)], "ix_pages_name is unique without id"),
        ("by id", [parent("note_id", "notes")], "fk_pages_note_id refers to notes"),
        ("by id", [parent("book_id", "books")], "fk_pages_book_id refers to books"),
        ("coordinator", [parent("book_id", "books")], "fk_pages_book_id refers to books"),
        ("everywhere", [parent("book_id", "books")], "fk_pages_book_id refers to books"),
        ("everywhere", [parent("note_id", "notes", "CASCADE")], "fk_pages_note_id refers to notes"),
    ],
)
def test_keys_that_one_machine_cannot_check_are_named(where, more, flaw):
    table("pages", where, *more)
    [found] = flaws(METADATA)
    assert found.startswith(flaw)


@pytest.mark.parametrize(
    ("where", "more"),
    [
        ("by book_id", [parent("book_id", "books", "CASCADE")]),
        ("by book_id", [parent("book_id", "books"), sa.UniqueConstraint("book_id", "name")]),
        ("by id", [parent("person_id", "people", "CASCADE")]),
        ("coordinator", [parent("person_id", "people", "CASCADE"), parent("note_id", "notes")]),
        ("everywhere", [parent("person_id", "people", "CASCADE"), parent("note_id", "notes")]),
    ],
)
def test_keys_that_each_machine_can_check_are_allowed(where, more):
    table("pages", where, *more)
    assert flaws(METADATA) == []
