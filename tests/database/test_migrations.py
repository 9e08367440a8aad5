"""The schema comes from migrations, once, and is what the models say, on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from service import migrations
from service.engine.database import revisions
from service.engine.database.revisions import State
from service.engine.database.transaction import db
from service.engine.ids import now
from service.flask_app import create_flask
from service.models import KnownNetwork
from service.places import MIGRATIONS
from service.settings import Settings
from tests.kit import postgres

ROOT = Path(__file__).parents[2]
NOBODY = "018f0000-0000-7000-8000-000000000000"
TABLES = {
    "deletions",
    "audit_events",
    "idempotency_keys",
    "mails",
    "post_documents",  # posts
    "posts",  # posts
    "sessions",
    "users",
}

RACER = """
import logging, sys
from service import migrations
from service.flask_app import create_flask
from service.engine.database import revisions
from service.engine.database.transaction import db
from service.engine.ids import now
from service.settings import load

logging.basicConfig(level=logging.INFO)
with create_flask(load()).app_context():
    engine = db.engine
    print("ready", flush=True)
    sys.stdin.readline()
    migrations.upgrade(engine)
    print(revisions.state(engine))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database; on SQLite there is not even its folder."""
    if request.param == "postgresql":
        return postgres.start()
    return f"sqlite:///{tmp_path}/instance/byline.db"


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    with create_flask(Settings(_env_file=None, database_url=url)).app_context():
        yield db.engine
        db.engine.dispose()


def test_upgrade_downgrade_and_upgrade_is_clean(engine):
    assert revisions.state(engine) is State.EMPTY
    migrations.upgrade(engine)
    assert revisions.state(engine) is State.CURRENT
    assert set(sa.inspect(engine).get_table_names()) >= TABLES

    migrations.downgrade(engine, "base")
    assert revisions.state(engine) is State.EMPTY
    assert sa.inspect(engine).get_table_names() == ["alembic_version"]

    migrations.upgrade(engine)
    assert revisions.state(engine) is State.CURRENT
    assert migrations.check(engine) == []


def test_models_and_database_agree(engine):
    migrations.upgrade(engine)

    assert migrations.check(engine) == []


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        ("DROP INDEX ix_sessions_expires_at", "add_index ix_sessions_expires_at"),
        ("ALTER TABLE mails ADD COLUMN more TEXT", "remove_column mails more"),
        ("DROP TABLE idempotency_keys", "add_table idempotency_keys"),
        ("CREATE TABLE more (id INTEGER)", "remove_table more"),
    ],
)
def test_a_difference_between_models_and_database_is_named(engine, statement, difference):
    migrations.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)

    assert difference in migrations.check(engine)


def test_a_second_upgrade_does_nothing(engine):
    migrations.upgrade(engine)
    migrations.upgrade(engine)

    assert revisions.state(engine) is State.CURRENT


def test_two_upgrades_at_once_migrate_once(url):
    environment = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    ends = [racer.communicate(timeout=60) for racer in racers]

    assert [out for out, _ in ends] == ["current\n", "current\n"], ends
    assert sum(log.count("Running upgrade  -> users_0001") for _, log in ends) == 1


def test_the_state_of_a_missing_file_is_empty_and_does_not_make_it(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path}/byline.db")

    assert revisions.state(engine) is State.EMPTY
    assert list(tmp_path.iterdir()) == []


def test_a_migration_leaves_foreign_keys_enforced(engine):
    migrations.upgrade(engine)

    orphan = sa.insert(KnownNetwork).values(
        user_id=NOBODY, network="::/48", failures=0, expires_at=now()
    )
    with engine.connect() as connection, pytest.raises(sa.exc.IntegrityError):
        connection.execute(orphan)


def test_revisions_are_read_without_alembic_as_alembic_reads_them() -> None:
    scripts = ScriptDirectory(str(ROOT / "alembic"))
    walked = {s.revision: frozenset(s._all_down_revisions) for s in scripts.walk_revisions()}
    assert revisions.graph(MIGRATIONS) == walked
