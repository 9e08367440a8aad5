"""Makes a PostgreSQL with the extension Citus a database of several machines.

Everything happens in one transaction. What a statement may do afterwards is in docs/operations.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from service.engine.database.distribution import (
    COORDINATOR,
    EVERYWHERE,
    WITHOUT,
    column_of,
    flaws,
    group,
    place,
)
from service.engine.database.transaction import db
from service.engine.settings import BadConfiguration

REVISIONS = "alembic_version"
# The shards of a machine are changed one after the other: a transaction that has changed them at
# once cannot change a table that is everywhere. PostgreSQL without Citus accepts the setting too.
SEQUENTIAL = "SET LOCAL citus.multi_shard_modify_mode TO 'sequential'"
# SELECT ... FOR UPDATE works only on rows that are stored once.
ONE_COPY = "SET LOCAL citus.shard_replication_factor TO 1"
UNLIMITED = "SET LOCAL statement_timeout TO 0"
SHARDS_OF_A_MACHINE = 4

_there = sa.text("SELECT to_regclass('pg_dist_node') IS NOT NULL")
_nodes = sa.text(
    "SELECT count(*) FILTER (WHERE groupid = 0) AS coordinators,"
    " count(*) FILTER (WHERE shouldhaveshards) AS machines"
    " FROM pg_dist_node WHERE isactive AND noderole = 'primary'"
)
_placed = sa.text(
    "SELECT relname FROM pg_dist_partition JOIN pg_class ON pg_class.oid = logicalrelid"
    " WHERE logicalrelid = to_regclass(quote_ident(relname)) AND relname = ANY (:names)"
)
_references = sa.text(
    "SELECT own.relname AS name, conname AS rule, its.relname AS parent,"
    " pg_get_constraintdef(pg_constraint.oid) AS definition"
    " FROM pg_constraint JOIN pg_class own ON own.oid = conrelid"
    " JOIN pg_class its ON its.oid = confrelid WHERE contype = 'f' AND conparentid = 0"
    " AND conrelid = to_regclass(quote_ident(own.relname))"
    " AND (own.relname = ANY (:names) OR its.relname = ANY (:names)) ORDER BY 1, 2"
)
_triggers = sa.text(
    "SELECT tgname AS name, relname AS of FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
    " WHERE NOT tgisinternal AND tgrelid = to_regclass(quote_ident(relname))"
    " AND relname = ANY (:names) ORDER BY 1"
)
_shards = sa.text("SELECT max(shardcount) FROM pg_dist_colocation")
Keys = dict[str, tuple[str, list[str]]]  # the primary key of a table: its name, its columns


@dataclass(frozen=True)
class Plan:
    """What is to be done: in words, a line for each thing, and in SQL."""

    summary: list[str]
    statements: list[str]


def plan(connection: sa.Connection, metadata: sa.MetaData, shards: int | None) -> Plan:
    """How to distribute the tables of the models, in so many shards; changes nothing.

    Raises `BadConfiguration` if models or cluster are not ready, or tables are distributed already.
    """
    if wrong := flaws(metadata):
        raise BadConfiguration("\n".join(wrong))
    machines = _ready_machines(connection)
    tables = metadata.sorted_tables
    names = [REVISIONS, *(table.name for table in tables)]
    if placed := connection.scalars(_placed, {"names": names}).all():
        raise BadConfiguration(f"The database is distributed already: {', '.join(sorted(placed))}")
    recipe = _Recipe(connection, tables, names, shards or machines * SHARDS_OF_A_MACHINE)
    return Plan(list(recipe.summary(machines)), list(recipe.statements()))


def distribute(connection: sa.Connection, statements: list[str]) -> None:
    """Run the statements of a plan, and commit. All is as it was if one fails."""
    driver: Any = connection.connection.driver_connection
    driver.patience = None
    for statement in (UNLIMITED, *statements):
        connection.exec_driver_sql(statement)
    connection.commit()


def prepare(connection: sa.Connection) -> None:
    """Prepare a connection for migrations: the same settings for all its transactions."""
    if connection.dialect.name == "postgresql":
        driver: Any = connection.connection.driver_connection
        for setting in (SEQUENTIAL, ONE_COPY):
            driver.execute(setting.replace("LOCAL ", ""))


def settle(table: sa.Table, connection: sa.Connection, **_: Any) -> None:
    """Distribute a table that a revision has just created, as its `info` says, if the others are; a
    listener for `after_create` on a prepared connection.

    Raises `BadConfiguration` when its `info` does not say.
    """
    if connection.dialect.name != "postgresql" or not connection.scalar(_there):
        return
    if not connection.scalars(_placed, {"names": [REVISIONS]}).all():
        return
    where = place(table)
    if where is None:
        raise BadConfiguration(
            f"The revision that creates {table.name} does not say where its rows are in a cluster:"
            " see service/engine/database/distribution.py"
        )
    for statement in _settling(connection, table, where):
        connection.exec_driver_sql(statement)


def _settling(connection: sa.Connection, table: sa.Table, where: str) -> Iterator[str]:
    name = _quoted(connection, table.name)
    if where == EVERYWHERE:
        yield f"SELECT create_reference_table('{name}')"
    elif where == COORDINATOR:
        yield f"SELECT citus_add_local_table_to_metadata('{name}')"
    else:
        yield from _widening(connection, _narrow_keys(connection, [table]))
        its_group = group(table)
        others = [
            other.name
            for other in db.metadata.sorted_tables
            if column_of(place(other)) and other.name != table.name and group(other) == its_group
        ]
        beside = connection.scalars(_placed, {"names": others}).first()
        yield from _spreading(connection, [table], connection.scalar(_shards), beside)


def _ready_machines(connection: sa.Connection) -> int:
    """The number of machines with shards."""
    if connection.dialect.name != "postgresql" or not connection.scalar(_there):
        raise BadConfiguration(
            "DATABASE_URL is not that of a Citus cluster: CREATE EXTENSION citus on every machine"
        )
    coordinators, machines = connection.execute(_nodes).one()
    if not coordinators:
        raise BadConfiguration(
            "The coordinator is not known to the cluster: SELECT citus_set_coordinator_host(...)"
            " with the address at which the workers reach it"
        )
    if not machines:
        raise BadConfiguration("The cluster has no workers: SELECT citus_add_node(...)")
    return int(machines)


class _Recipe:
    """What is to be done to these tables, which are all those of the models."""

    def __init__(
        self, connection: sa.Connection, tables: list[sa.Table], names: list[str], shards: int
    ) -> None:
        self._connection = connection
        self._shards = shards
        self._copied = [REVISIONS, *(one.name for one in tables if place(one) == EVERYWHERE)]
        self._kept = [one.name for one in tables if place(one) == COORDINATOR]
        spread = [one for one in tables if column_of(place(one))]
        self._groups = [list(its) for _, its in groupby(sorted(spread, key=group), key=group)]
        self._keys = _narrow_keys(connection, spread)
        self._references = connection.execute(_references, {"names": names}).all()
        moved = {"names": [*self._copied, *self._spread]}
        self._triggers = [(row.name, row.of) for row in connection.execute(_triggers, moved)]
        self._refuse_strangers(names, {name for t in tables for name in t.info.get(WITHOUT, ())})

    @property
    def _spread(self) -> list[str]:
        return [table.name for its in self._groups for table in its]

    def _refuse_strangers(self, names: list[str], useless: set[str]) -> None:
        for row in self._references:
            if row.name not in names or row.parent not in names:
                raise BadConfiguration(
                    f"The foreign key {row.rule} is between {row.name} and {row.parent}, and one of"
                    " them has no model: drop the key first"
                )
        for trigger, name in self._triggers:
            if trigger not in useless:
                raise BadConfiguration(
                    f"The trigger {trigger} of {name} cannot exist in a cluster: drop it first"
                )

    def summary(self, machines: int) -> Iterator[str]:
        """What is to be done, in words."""
        yield f"{self._shards} shards of each spread table, on {machines} machines"
        for its in self._groups:
            listed = ", ".join(f"{one.name} ({column_of(place(one))})" for one in its)
            yield f"spread by {group(its[0])}: {listed}"
        yield f"copied to every machine: {', '.join(self._copied)}"
        yield f"on the coordinator: {', '.join(self._kept)}"
        for name, (_, columns) in self._keys.items():
            yield f"the primary key of {name} becomes ({', '.join(columns)})"
        for trigger, name in self._triggers:
            yield f"the trigger {trigger} of {name} is dropped"

    def statements(self) -> Iterator[str]:
        """What does it. Foreign keys are dropped first and made again last: those between tables of
        which only one has moved are refused, and so are those to the rows that were left behind."""
        quoted = partial(_quoted, self._connection)
        yield SEQUENTIAL
        yield ONE_COPY
        for row in self._references:
            yield f"ALTER TABLE {quoted(row.name)} DROP CONSTRAINT {quoted(row.rule)}"
        for trigger, name in self._triggers:
            yield f"DROP TRIGGER {quoted(trigger)} ON {quoted(name)}"
        yield from _widening(self._connection, self._keys)
        for name in self._copied:
            yield f"SELECT create_reference_table('{quoted(name)}')"
        for name in self._kept:
            yield f"SELECT citus_add_local_table_to_metadata('{quoted(name)}')"
        for its in self._groups:
            yield from _spreading(self._connection, its, self._shards, None)
        for name in (*self._copied, *self._spread):
            yield f"SELECT truncate_local_data_after_distributing_table('{quoted(name)}')"
        for row in self._references:
            name, rule = quoted(row.name), quoted(row.rule)
            yield f"ALTER TABLE {name} ADD CONSTRAINT {rule} {row.definition}"


def _narrow_keys(connection: sa.Connection, tables: Sequence[sa.Table]) -> Keys:
    """The primary keys that lack the column by which their table is spread, with the columns that
    they are to have."""
    found: Keys = {}
    for table in tables:
        key = sa.inspect(connection).get_pk_constraint(table.name)
        columns, by = key["constrained_columns"], str(column_of(place(table)))
        if by not in columns:
            found[table.name] = str(key["name"]), [*columns, by]
    return found


def _widening(connection: sa.Connection, keys: Keys) -> Iterator[str]:
    quoted = partial(_quoted, connection)
    for name, (key, columns) in keys.items():
        listed = ", ".join(map(quoted, columns))
        yield f"ALTER TABLE {quoted(name)} DROP CONSTRAINT {quoted(key)}"
        yield f"ALTER TABLE {quoted(name)} ADD CONSTRAINT {quoted(key)} PRIMARY KEY ({listed})"


def _spreading(
    connection: sa.Connection, tables: Sequence[sa.Table], shards: int, beside: str | None
) -> Iterator[str]:
    """Spread tables of one group: into so many shards, or `beside` a table of theirs."""
    quoted = partial(_quoted, connection)
    for table in tables:
        where = f"colocate_with => 'none', shard_count => {shards}"
        if beside:
            where = f"colocate_with => '{quoted(beside)}'"
        by = column_of(place(table))
        yield f"SELECT create_distributed_table('{quoted(table.name)}', '{by}', {where})"
        beside = beside or table.name


def _quoted(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)
