"""Without a database, a start waits for it, and then exits with the reason."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.kit.load import Load
from tests.kit.postgres_cluster import cluster
from tests.kit.processes import PATIENCE, Place, sign_up


@pytest.mark.parametrize("state", ["down", "frozen"])
def test_a_start_without_a_database_says_why(state: str, tmp_path: Path, report: Any) -> None:
    report(f"database {state} at start")
    with cluster() as own:
        place = Place(tmp_path / "place", DATABASE_URL=own.create("byline"))
        own.stop() if state == "down" else own.freeze()
        began = time.monotonic()
        byline = place.start()
        ended = byline.process.wait(PATIENCE)
        taken = time.monotonic() - began
    *waiting, last = byline.log.read_text().splitlines()
    report(more=f"exit code {ended} after {taken:.0f} s: {last[:60]} ...")
    assert ended == 1
    assert waiting == ["Waiting up to 10 s for the database ..."]
    assert last.startswith("Error: Database error: connection ")
    assert taken >= 10


def test_a_start_goes_on_as_soon_as_the_database_is_there(tmp_path: Path, report: Any) -> None:
    report("database down at start, then up")
    with cluster() as own:
        place = Place(tmp_path / "place", DATABASE_URL=own.create("byline"))
        own.stop()
        with place.serving(wait=False) as byline:
            _until_it_says(byline.log, "Waiting")
            own.start()
            byline.wait()
            load = Load(byline.url, [sign_up(byline.url)], writers=1, readers=1)
            with load.running():
                load.go_on(10)
            report.settle(load, own.url("byline"))


def _until_it_says(log: Path, word: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while word not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
