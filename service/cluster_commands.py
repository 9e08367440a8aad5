"""The command `db distribute`: from one PostgreSQL to a cluster."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import click
import sqlalchemy as sa

from service.engine.database import citus, revisions
from service.engine.database.transaction import db
from service.engine.settings import BadConfiguration

HARM = "This locks every table until its rows have moved. Stop the service and take a backup first"


def distribute(
    database: Callable[[], AbstractContextManager[sa.Engine]], agree: Callable[[bool, str], None]
) -> click.Command:
    """The command; `database` opens the database, and `agree` asks before it is changed."""

    @click.command()
    @click.option(
        "--shards",
        type=click.IntRange(1, 64_000),
        help="Of each table; one or two for each core of all workers. By default"
        f" {citus.SHARDS_OF_A_MACHINE} for each worker.",
    )
    @click.option("--yes", is_flag=True, help="Do it in any database without asking.")
    def distribute(shards: int | None, yes: bool) -> None:
        """Spread the tables over the machines of a Citus cluster; see docs/operations.md."""
        from service import migrations  # imports Alembic, which serving does not need

        with database() as engine:
            if engine.dialect.name != "postgresql":
                raise BadConfiguration("DATABASE_URL is not that of a Citus cluster")
            if (state := revisions.require(engine)) is not revisions.State.CURRENT:
                raise BadConfiguration(f"The schema is {state}: distribute it with its own code.")
            with migrations.connect(engine) as connection:
                plan = citus.plan(connection, db.metadata, shards)
                connection.rollback()  # a transaction does not wait for an answer
                click.echo("\n  ".join(plan.summary))
                agree(yes, HARM)
                citus.distribute(connection, plan.statements)
        click.echo("The tables are distributed.")

    return distribute
