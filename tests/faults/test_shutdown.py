"""SIGTERM under load: requests in progress are answered, and the process ends in time."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit.load import Load
from tests.kit.processes import Account, Byline, Place, sign_up
from tests.kit.visitors import export, fill

DELAY = 2  # seconds that it goes on after the signal
GRACE = 30  # for what is still in flight then
NOISE = 5


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_shutdown_under_load_loses_nothing(
    workers: str, tmp_path: Path, database: str, report: Any
) -> None:
    report(f"SIGTERM under load, WORKERS={workers}")
    place = Place(tmp_path, DATABASE_URL=database, WORKERS=workers, SHUTDOWN_DELAY=str(DELAY))
    with place.serving() as byline:
        load = Load(byline.url, [sign_up(byline.url)])
        with load.running():
            load.go_on(20)
            byline.terminate()
            began = time.monotonic()
            byline.wait("/health/ready", 503)
            load.go_on(5)  # it still answers everybody else
            ended = byline.process.wait(DELAY + GRACE + NOISE)
            taken = time.monotonic() - began
        report.settle(load, database, goes=True)
        report(more=f"exit code {ended} after {taken:.1f} s")
    assert ended in {0, -15}
    assert DELAY - 0.5 < taken < DELAY + NOISE


def test_shutdown_does_not_wait_for_a_stuck_request(
    tmp_path: Path, database: str, report: Any
) -> None:
    report("SIGTERM under load with a stuck request")
    place = Place(tmp_path, DATABASE_URL=database, SHUTDOWN_DELAY=str(DELAY))
    with place.serving() as byline:
        account = sign_up(byline.url)
        fill(byline, account)
        load = Load(byline.url, [account], registers=False)
        with _stuck(byline, account), load.running():
            load.go_on(20)
            byline.terminate()
            began = time.monotonic()
            ended = byline.process.wait(DELAY + GRACE + NOISE)
            taken = time.monotonic() - began
        report.settle(load, database, goes=True)
        report(more=f"exit code {ended} after {taken:.1f} s")


@contextmanager
def _stuck(byline: Byline, account: Account) -> Iterator[socket.socket]:
    with export(byline, account) as reader:
        assert reader.recv(1000)
        yield reader
