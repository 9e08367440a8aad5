"""Workers that die, freeze or are to be replaced, and what their clients notice."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.kit.busy_clients import busy, kept, one_by_one, refuses
from tests.kit.forked import UNFORKED
from tests.kit.processes import Byline, Place
from tests.kit.smtp import until
from tests.kit.workers import answered_by
from tests.server.conftest import Start, serves

Patched = Callable[[str], None]


def pids(byline: Byline) -> set[int]:
    """The workers that take connections."""
    return {worker.pid for worker in byline.workers if serves(worker, byline.port)}


def others(byline: Byline, gone: set[int]) -> bool:
    """Whether two workers serve, and none of those."""
    now = pids(byline)
    return len(now) == 2 and not now & gone


def test_a_killed_worker_is_replaced_while_the_others_serve(start: Start) -> None:
    byline = start(WORKERS="2")
    killed = byline.workers[0]
    with busy(byline.port, one_by_one) as outcomes:
        until(lambda: outcomes["answered"] > 100)
        killed.kill()
        before = outcomes["answered"]
        until(lambda: others(byline, {killed.pid}))
        assert outcomes["answered"] > before
    # What the one that was killed had in hand, of each client at most one request.
    assert outcomes.total() - outcomes["answered"] <= 4
    assert "refused" not in outcomes


def test_workers_that_are_killed_as_they_start_are_replaced_too(start: Start) -> None:
    byline = start(WORKERS="2")
    gone = {byline.process.pid}
    for _ in range(2):
        until(lambda: {worker.pid for worker in byline.workers} - gone)
        for worker in byline.workers:
            if worker.pid not in gone:
                worker.kill()
                gone.add(worker.pid)
    until(lambda: others(byline, gone))
    byline.wait()


@contextmanager
def _no_more_files(byline: Byline) -> Iterator[None]:
    """The supervisor can open no file: what a worker needs to start."""
    supervisor = psutil.Process(byline.process.pid)
    limits = supervisor.rlimit(resource.RLIMIT_NOFILE)
    opened = {int(path.name) for path in Path(f"/proc/{supervisor.pid}/fd").iterdir()}
    supervisor.rlimit(resource.RLIMIT_NOFILE, (min({*range(1000)} - opened), limits[1]))
    try:
        yield
    finally:
        supervisor.rlimit(resource.RLIMIT_NOFILE, limits)


def test_a_worker_serves_on_until_another_can_be_started(start: Start) -> None:
    byline = start(WORKERS="2")
    killed, kept = byline.workers
    files = byline.held["descriptors"]
    with _no_more_files(byline):
        killed.kill()
        until(lambda: byline.log.read_text().count("another worker did not start") == 2)
        assert byline.status("/health/ready") == 200
    until(lambda: len(pids(byline) - {killed.pid}) == 2)
    assert kept.pid in pids(byline)
    assert byline.held["descriptors"] == files


def test_workers_serve_on_if_none_can_be_started_in_their_place(start: Start) -> None:
    byline = start(WORKERS="2")
    before = pids(byline)
    with _no_more_files(byline):
        byline.process.send_signal(signal.SIGHUP)
        until(lambda: "another worker did not start" in byline.log.read_text())
    assert pids(byline) == before
    byline.process.send_signal(signal.SIGHUP)
    until(lambda: others(byline, before))


def test_a_worker_that_is_frozen_is_replaced(start: Start, patched: Patched) -> None:
    patched("from service.engine.serve import supervisor; supervisor.HEARTBEAT_TIMEOUT_SECONDS = 3")
    byline = start(WORKERS="2")
    with httpx.stream("GET", byline.url) as answer:  # by one that the supervisor has heard
        frozen = psutil.Process(answered_by(answer))
    frozen.suspend()
    until(lambda: others(byline, {frozen.pid}))
    assert not frozen.is_running()
    byline.wait()


def test_connections_are_refused_even_while_a_worker_is_frozen(
    start: Start, patched: Patched
) -> None:
    patched(
        "from service.engine.serve import supervisor; supervisor.HEARTBEAT_TIMEOUT_SECONDS = 1000"
    )
    byline = start(WORKERS="2")
    frozen = byline.workers[0]
    frozen.suspend()
    byline.terminate()
    until(lambda: refuses(byline.port))
    assert byline.process.poll() is None
    frozen.resume()
    assert byline.process.wait(60) == 0


def test_workers_end_with_their_supervisor_and_leave_the_port_to_the_next(
    start: Start, place: Place
) -> None:
    byline = start(WORKERS="2", SHUTDOWN_DELAY="300")
    orphans = byline.workers
    byline.process.kill()
    byline.process.wait()
    until(lambda: refuses(byline.port))
    with place.serving(port=byline.port, WORKERS="2") as another:
        assert another.status("/health/ready") == 200
    assert psutil.wait_procs(orphans, timeout=60)[1] == []


@pytest.mark.parametrize("visit", [one_by_one, kept])
def test_sighup_replaces_the_workers_without_a_failed_request(
    start: Start, visit: Callable[[int, int], str]
) -> None:
    byline = start(WORKERS="2", SHUTDOWN_DELAY="1")
    before = pids(byline)
    with busy(byline.port, visit) as outcomes:
        until(lambda: visit is kept or outcomes["answered"] > 10)
        byline.process.send_signal(signal.SIGHUP)
        until(lambda: others(byline, before) and not before & set(psutil.pids()))
        assert byline.status("/health/ready") == 200
        byline.terminate()
        assert byline.process.wait(60) == 0
    assert outcomes["answered"] > 0
    assert outcomes.keys() <= {"answered", "refused"}


def test_a_worker_obeys_its_supervisor_and_ignores_signals(start: Start) -> None:
    byline = start(WORKERS="2")
    before = pids(byline)
    for worker in byline.workers:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            worker.send_signal(number)
    assert [byline.status("/health/ready") for _ in range(20)] == [200] * 20
    assert pids(byline) == before


def test_workers_have_a_folder_for_their_metrics_until_they_end(start: Start) -> None:
    byline = start(WORKERS="2", **UNFORKED)
    [folder] = {Path(worker.environ()["METRICS_DIR"]) for worker in byline.workers}
    assert folder.stat().st_mode & 0o777 == 0o700
    byline.terminate()
    assert byline.process.wait(60) == 0
    assert not folder.exists()
