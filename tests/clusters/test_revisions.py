"""A revision that creates a table says where its rows are, and in a cluster they are there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from service import migrations
from service.engine.database import revisions
from service.engine.database.revisions import State
from service.engine.database.transaction import db
from service.engine.settings import BadConfiguration
from service.engine.spec import flask_app
from service.places import MIGRATIONS
from service.settings import Settings
from tests.kit import citus, databases
from tests.kit.heads import last

REVISION = """
import sqlalchemy as sa

from alembic import op

revision = "own_0001"
down_revision = None
branch_labels = ("own",)
depends_on = {after!r}


def upgrade():
    op.create_table(
        "projects",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name="fk_projects_owner_id", ondelete="CASCADE"
        ),
        {info}
    )
    op.create_index("ix_projects_owner_id", "projects", ["owner_id"])


def downgrade():
    op.drop_table("projects")
"""
PLACES = """SELECT citus_table_type, distribution_column, colocation_id =
    (SELECT colocation_id FROM citus_tables WHERE table_name = to_regclass('sessions'))
    FROM citus_tables WHERE table_name = to_regclass('projects')"""
KEY = """SELECT pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype = 'p' AND conrelid = to_regclass('projects')"""
BY_OWNER, EVERYWHERE = 'info={"place": "by owner_id"},', 'info={"place": "everywhere"},'


@pytest.fixture(scope="module", params=citus.KINDS)
def cluster(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes a database that is distributed; those of stand-ins are copies."""
    return lambda: citus.distributed(request.param)


@pytest.fixture
def upgrade(tmp_path: Path) -> Callable[[str, str], State]:
    """Upgrades a database with one more revision, which creates a table of this place."""

    def _upgrade(url: str, info: str) -> State:
        shutil.copytree(MIGRATIONS, folder := tmp_path / "alembic")
        written = REVISION.format(after=last("users"), info=info)
        (folder / "versions" / "own_0001_add_projects.py").write_text(written)
        settings = Settings(_env_file=None, database_url=url)
        with flask_app.create_flask(settings, "service", migrations=folder).app_context():
            try:
                migrations.upgrade(db.engine)
                return revisions.state(db.engine)
            finally:
                db.engine.dispose()

    return _upgrade


@pytest.mark.parametrize(
    ("info", "place", "key"),
    [
        (BY_OWNER, ("distributed", "owner_id", True), "PRIMARY KEY (id, owner_id)"),
        (EVERYWHERE, ("reference", False), "PRIMARY KEY (id)"),
    ],
)
def test_a_new_table_goes_to_its_place(cluster, upgrade, info, place, key):
    url = cluster()
    assert upgrade(url, info) is State.CURRENT
    [found] = citus.execute(url, PLACES)
    by = [found[1]] if place[0] == "distributed" else []
    assert (found[0], *by, bool(found[2])) == place
    assert citus.execute(url, KEY) == [(key,)]


def test_a_new_table_without_a_place_is_not_created(cluster, upgrade):
    url = cluster()
    with pytest.raises(BadConfiguration, match="creates projects does not say where its rows are"):
        upgrade(url, "")
    assert citus.execute(url, "SELECT to_regclass('projects')") == [(None,)]


@pytest.mark.parametrize("info", ["", BY_OWNER])
def test_a_single_machine_does_not_ask_for_it(upgrade, info):
    url = databases.postgresql()
    assert upgrade(url, info) is State.CURRENT
    assert citus.execute(url, KEY) == [("PRIMARY KEY (id)",)]


def test_a_step_that_fails_leaves_no_table_behind(upgrade):
    citus.execute(
        url := citus.distributed("stand-in"),
        "CREATE OR REPLACE FUNCTION create_reference_table(table_name regclass) RETURNS void"
        " LANGUAGE plpgsql AS $$ BEGIN PERFORM refuse('a worker is away'); END $$",
    )
    with pytest.raises(sa.exc.NotSupportedError, match="a worker is away"):
        upgrade(url, EVERYWHERE)
    assert citus.execute(url, "SELECT to_regclass('projects')") == [(None,)]
