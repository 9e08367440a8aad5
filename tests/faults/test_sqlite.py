"""Sixteen concurrent writers on one SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.kit.load import Load
from tests.kit.processes import Place, seconds, sign_up


def test_sixteen_writers_never_find_the_database_locked(tmp_path: Path, report: Any) -> None:
    length = seconds("BUSY", 30)
    report(f"16 writers on SQLite for {length} s")
    place = Place(tmp_path)
    with place.serving(WORKERS="2") as byline:
        load = Load(byline.url, [sign_up(byline.url) for _ in range(4)], writers=16)
        with load.running():
            load.hold(length)
        load.settle()
        report.settle(load, place.settings["DATABASE_URL"], refuses=True)
        report(more=f"{len(load.acknowledged) / length:.0f} writes a second")
        assert "is locked" not in byline.log.read_text()
