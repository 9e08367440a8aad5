"""Concurrent migrations, and a migration back and forth under load."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.kit.commands import run
from tests.kit.load import Load
from tests.kit.processes import Place, sign_up

CURRENT = "The schema is current.\n"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_several_starts_at_once_migrate_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, report: Any
) -> None:
    report(f"three migrations at once, then down and up, {kind}")
    own = {"DATABASE_URL": request.getfixturevalue("database")} if kind == "postgresql" else {}

    def byline(*command: str) -> tuple[int, str]:
        done = run(tmp_path, *command, **own)
        return done.returncode, done.stdout + done.stderr

    with ThreadPoolExecutor(3) as threads:
        ends = [threads.submit(byline, "db", "upgrade") for _ in range(3)]
        assert [end.result() for end in ends] == [(0, CURRENT)] * 3
    for command, told in (
        (["db", "check"], CURRENT),
        (["db", "downgrade", "--yes", "base"], "The schema is empty.\n"),
        (["db", "upgrade"], CURRENT),
        (["db", "check"], CURRENT),  # models and migrations agree
    ):
        assert byline(*command) == (0, told)
    report(lost=0, more="every command exits with 0")


def test_a_repeated_migration_disturbs_no_request(
    tmp_path: Path, database: str, report: Any
) -> None:
    report("upgrade of a current schema under load, twice at once")
    place = Place(tmp_path, DATABASE_URL=database)
    with place.serving() as byline:
        load = Load(byline.url, [sign_up(byline.url)])
        with load.running(), ThreadPoolExecutor(2) as threads:
            ends = list(threads.map(lambda _: place.run("db", "upgrade"), range(2)))
            load.go_on(20)
        report.settle(load, database)
    assert [end.returncode for end in ends] == [0, 0]
