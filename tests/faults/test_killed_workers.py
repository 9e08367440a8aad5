"""Killing a worker loses no acknowledged write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kit.load import Load
from tests.kit.processes import Byline, Place, sign_up
from tests.kit.smtp import until


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_write_acknowledged_by_a_killed_worker_exists(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, report: Any
) -> None:
    report(f"kill -9 of a worker under writes, {kind}")
    own = {"DATABASE_URL": request.getfixturevalue("database")} if kind == "postgresql" else {}
    place = Place(tmp_path, **own)
    with place.serving(WORKERS="2") as byline:
        until(lambda: len(byline.workers) == 2)
        load = Load(byline.url, [sign_up(byline.url) for _ in range(3)])
        with load.running():
            for _ in range(3):
                _kill_one(byline)
                load.go_on(30)
        retried = load.settle()
        report.settle(load, place.settings["DATABASE_URL"], breaks=True)
        report(more=f"3 kills, {retried} retried")


def _kill_one(byline: Byline) -> None:
    before = byline.workers
    before[0].kill()
    until(lambda: len(byline.workers) == 2 and byline.workers[0] not in before[:1])
