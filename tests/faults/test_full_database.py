"""A full disk under the database: writes are refused whole, reads go on, room is all it takes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.disks import small_disk
from tests.faults.load import Load
from tests.faults.processes import Place, sign_up
from tests.smtp import until

SIZE = 12 * 1024 * 1024  # bytes: the database, its log of 4 MiB and some


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_disk_under_sqlite_loses_and_halves_nothing(
    workers: str, tmp_path: Path, report: Any
) -> None:
    report(f"disk full for SQLite, {workers} workers")
    with small_disk(tmp_path / "disk", SIZE) as disk:
        file = disk.folder / "byline.db"
        place = Place(tmp_path / "place", DATABASE_URL=f"sqlite:///{file}")
        with place.serving(WORKERS=workers) as byline:
            account = sign_up(byline.url)
            load = Load(byline.url, [account, sign_up(byline.url)])
            with load.running():
                load.go_on(20)
                for times in (1, 2):
                    disk.fill()
                    refused = load.statuses[503]
                    until(lambda refused=refused: load.statuses[503] >= refused + 20)
                    assert byline.status("/health/live") == 200
                    assert byline.get("/auth/me", headers=account.bearer).status_code == 200
                    assert byline.get("/api/posts").status_code == 200
                    disk.make_room()
                    load.go_on(20)
                    report(more=f"full {times} times")
            retried = load.settle()
            assert byline.status("/health/ready") == 200
        report.settle(load, place.settings["DATABASE_URL"], refuses=True)
        report(more=f"full twice, {retried} repeated")
        with closing(sqlite3.connect(file)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
