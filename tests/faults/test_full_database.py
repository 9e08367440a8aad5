"""A full disk under the database: writes are refused, reads work, and free space repairs it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from pwd import getpwnam
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.kit.disks import Disk, small_disk
from tests.kit.load import Load
from tests.kit.postgres_cluster import Cluster
from tests.kit.processes import Place, sign_up
from tests.kit.smtp import until

SIZE = 64 * 1024 * 1024  # bytes: a database of SQLite, its log of 16 MiB or, under load, more
SIZE_OF_TABLES = 24 * 1024 * 1024


@pytest.fixture
def database_on_disk(postgresql: Cluster) -> Iterator[tuple[str, Disk]]:
    """The URL of an empty database of PostgreSQL, and the disk that its tables are on."""
    with TemporaryDirectory() as name, small_disk(Path(name) / "disk", SIZE_OF_TABLES) as disk:
        Path(name).chmod(0o755)  # not a folder of pytest's, which the server's user may not enter
        tables = disk.folder / "tables"
        tables.mkdir(mode=0o700)
        if postgresql.user:
            os.chown(tables, getpwnam(postgresql.user).pw_uid, -1)
        postgresql.execute(f"CREATE TABLESPACE small LOCATION '{tables}'")
        postgresql.execute("CREATE DATABASE byline_on_disk TABLESPACE small")
        yield postgresql.url("byline_on_disk"), disk
        postgresql.execute("DROP DATABASE byline_on_disk WITH (FORCE)")
        postgresql.execute("DROP TABLESPACE small")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_disk_under_sqlite_loses_no_write_and_leaves_no_half(
    workers: str, tmp_path: Path, report: Any
) -> None:
    report(f"disk full for SQLite, {workers} workers")
    with small_disk(tmp_path / "disk", SIZE) as disk:
        file = disk.folder / "byline.db"
        place = Place(tmp_path / "place", DATABASE_URL=f"sqlite:///{file}", WORKERS=workers)
        fill_twice(place, disk, report)
        with closing(sqlite3.connect(file)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_full_disk_under_postgresql_loses_no_write_and_leaves_no_half(
    tmp_path: Path, database_on_disk: tuple[str, Disk], report: Any
) -> None:
    report("disk full for the tables of PostgreSQL")
    url, disk = database_on_disk
    fill_twice(Place(tmp_path, DATABASE_URL=url), disk, report)


def fill_twice(place: Place, disk: Disk, report: Any) -> None:
    """Have the disk full twice under load, and hold the service to what it was asked for."""
    with place.serving() as byline:
        account = sign_up(byline.url)
        load = Load(byline.url, [account, sign_up(byline.url)])
        with load.running():
            load.go_on(20)
            for _ in range(2):
                disk.fill()
                refused = load.statuses[503]
                until(lambda refused=refused: load.statuses[503] >= refused + 20)
                assert byline.status("/health/live") == 200
                assert byline.get("/auth/me", headers=account.bearer).status_code == 200
                assert byline.get("/api/users").status_code == 200
                disk.make_room()
                load.go_on(20)
        retried = load.settle()
        assert byline.status("/health/ready") == 200
    report.settle(load, place.settings["DATABASE_URL"], refuses=True)
    report(more=f"full twice, {retried} repeated")
