"""Deploying new code with a migration, process by process, and back: no request fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.kit.commands import ROOT
from tests.kit.heads import last
from tests.kit.load import Load
from tests.kit.processes import PATIENCE, Place, sign_up
from tests.kit.proxy import nginx

DELAY = "3"  # seconds that a process goes on; nginx keeps an idle connection for two
MIGRATION = f'''"""Add a column that only newer code knows."""

import sqlalchemy as sa

from alembic import op

revision = "posts_9999"
down_revision = {last("posts")!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("posts", sa.Column("mood", sa.String(20), server_default="calm", nullable=False))
    op.create_table("moods", sa.Column("name", sa.String(20), primary_key=True))


def downgrade() -> None:
    op.drop_table("moods")
    op.drop_column("posts", "mood")
'''


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The source of a Byline with one migration more, which it needs."""
    root = tmp_path / "newer"
    for name in ("service", "alembic", "openapi"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.py", "alembic.ini"):
        shutil.copy(ROOT / name, root)
    versions = root / "alembic" / "versions"
    (versions / "posts_9999_add_moods.py").write_text(MIGRATION)
    return root


class Fleet:
    """Three processes on ports that stay the same, whichever code runs there."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.running = [place.start() for _ in range(3)]
        for byline in self.running:
            byline.wait()

    @property
    def ports(self) -> list[int]:
        return [byline.port for byline in self.running]

    def replace(self, root: Path) -> None:
        """One process after the other by one from `root`; the next when that is ready."""
        for number, old in enumerate(self.running):
            old.terminate()
            assert old.process.wait(PATIENCE) in {0, -15}
            self.running[number] = self.place.start(root=root, port=old.port)
            self.running[number].wait()

    def end(self) -> None:
        for byline in self.running:
            byline.end()


@pytest.fixture
def fleet(tmp_path: Path, database: str) -> Iterator[Fleet]:
    place = Place(
        tmp_path / "place",
        DATABASE_URL=database,
        SHUTDOWN_DELAY=DELAY,
        TRUSTED_PROXIES="127.0.0.1",
    )
    own = Fleet(place)
    yield own
    own.end()


def test_a_rolling_restart_with_a_migration_fails_no_request(
    fleet: Fleet, newer: Path, tmp_path: Path, database: str, report: Any
) -> None:
    report("rolling restart with a migration under load, and back")
    with nginx(tmp_path, *fleet.ports) as proxy:
        load = Load(proxy.url, [sign_up(proxy.url) for _ in range(3)])
        with load.running():
            load.go_on(50)
            refused = fleet.place.run("serve", "--port", "0", root=newer)
            migrated = fleet.place.run("db", "upgrade", root=newer)
            load.go_on(20)
            fleet.replace(newer)
            load.go_on(20)
            fleet.replace(ROOT)  # the newer schema stays
            load.go_on(20)
        report.settle(load, database)
    with psycopg.connect(database) as connection:
        moods = connection.execute("SELECT DISTINCT mood FROM posts").fetchall()
    report(more="6 processes replaced, 1 migration")
    assert refused.stderr == "Error: The schema is behind: run `byline db upgrade` first.\n"
    assert migrated.returncode == 0, migrated.stderr
    assert moods == [("calm",)]
