"""No statement asks of a spread table what a cluster cannot do (docs/operations.md, "On Citus")."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.sql import operators, visitors

import service
from service.engine.database.distribution import column_of, place
from service.engine.database.statements import Prepared
from service.models import AuditEvent, User
from service.models.post_documents import PostDocument  # posts
from service.models.posts import Post  # posts

PARTS = ("accounts", "mail", "models")


def _statements() -> dict[str, Any]:
    return {
        f"{module.name}.{name}": value._statement
        for module in pkgutil.walk_packages(service.__path__, "service.")
        if module.name.split(".")[1] in PARTS
        for name, value in vars(importlib.import_module(module.name)).items()
        if isinstance(value, Prepared)
    }


def froms(statement: Any) -> set[Any]:
    """The tables and aliases of a statement, those of its subqueries left out."""
    if isinstance(statement, sa.Select):
        return {one for joined in statement.get_final_froms() for one in joined._from_objects}
    return {statement.table} if isinstance(statement, sa.UpdateBase) else set()


def spread(found: set[Any]) -> list[sa.Column[Any]]:
    """The columns by which some of these tables are spread."""
    own = [table for table in found if isinstance(table, sa.Table)]
    return [table.c[by] for table in own if (by := column_of(place(table)))]


def equal(statement: Any) -> Iterator[tuple[Any, Any]]:
    """What the conditions of a statement say is equal."""
    for one in visitors.iterate(statement.whereclause) if statement.whereclause is not None else ():
        if isinstance(one, sa.BinaryExpression) and one.operator is operators.eq:
            yield from ((one.left, one.right), (one.right, one.left))


def same(side: Any, column: sa.Column[Any]) -> bool:
    return isinstance(side, sa.ColumnElement) and side.shares_lineage(column)


def locked_on_many_shards(statement: Any) -> list[str]:
    """The spread tables whose rows a statement locks without saying where they are."""
    return [
        str(column.table)
        for select in visitors.iterate(statement)
        if isinstance(select, sa.Select) and (locks := select._for_update_arg) is not None
        for column in spread(froms(select) if locks.of is None else set(locks.of))
        if not any(same(a, column) and isinstance(b, sa.BindParameter) for a, b in equal(select))
    ]


def nested(node: Any, outer: Any = None) -> Iterator[tuple[Any, Any]]:
    """Each subquery that may refer to a row of the statement around it, and that statement."""
    if isinstance(node, sa.Select | sa.UpdateBase):
        if outer is not None:
            yield outer, node
        outer = node
    elif isinstance(node, sa.Subquery | sa.CTE):
        outer = None
    for child in node.get_children():
        yield from nested(child, outer)


def looked_up_elsewhere(statement: Any) -> list[str]:
    """The spread tables of subqueries that refer to a row around them, and not to one beside
    theirs."""
    return sorted(
        {
            str(column.table)
            for outer, inner in nested(statement)
            for shared in [froms(inner) & froms(outer)]
            for column in (spread(froms(inner) - shared) if shared else ())
            if not any(
                same(a, column) and any(same(b, one) for one in spread(shared))
                for a, b in equal(inner)
            )
        }
    )


def lost(statement: Any) -> list[str]:
    """The spread tables to which a statement adds a row without saying where, or moves one."""
    given = {getattr(one, "name", one) for one in getattr(statement, "_values", None) or ()}
    given |= {*(getattr(statement, "_select_names", None) or ())}
    is_there = isinstance(statement, sa.Insert)
    changes = isinstance(statement, sa.Insert | sa.Update)
    columns = spread(froms(statement)) if changes else []
    return [str(column.table) for column in columns if (column.name in given) is not is_there]


RULES = [locked_on_many_shards, looked_up_elsewhere, lost]


@pytest.mark.parametrize("rule", RULES)
def test_no_statement_asks_what_a_cluster_cannot_do(rule):
    statements = _statements()
    assert len(statements) > 80
    embedded = {name for name in statements if "_fts5_" in name}  # posts
    statements = {name: one for name, one in statements.items() if name not in embedded}  # posts
    assert {name: found for name, one in statements.items() if (found := rule(one))} == {}


_event = sa.select(AuditEvent.id).where(AuditEvent.user_id == User.id)
WRONG = [
    (locked_on_many_shards, sa.select(AuditEvent.id).with_for_update()),
    (looked_up_elsewhere, sa.select(User.id, _event.scalar_subquery())),
    (looked_up_elsewhere, sa.update(User).where(_event.exists()).values(bio="")),
    (lost, sa.insert(AuditEvent).values(action="login")),
    (lost, sa.update(AuditEvent).values(id="")),
]
_post = sa.select(Post.title).where(Post.id == PostDocument.post_id)  # posts
_other = sa.select(Post.title).where(Post.title == PostDocument.words)  # posts
_found = sa.select(PostDocument.id)  # posts
WRONG += [(looked_up_elsewhere, _found.where(_other.exists()))]  # posts


@pytest.mark.parametrize(("rule", "statement"), WRONG)
def test_what_a_cluster_cannot_do_is_found(rule, statement):
    assert len(rule(statement)) == 1


def test_a_subquery_may_refer_to_a_row_beside_its_own():  # posts
    assert looked_up_elsewhere(_found.where(_post.exists())) == []  # posts
