"""Many clients request large answers and read nothing: it costs little and delays nobody."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.test_connection_states import connected
from tests.kit import raw
from tests.kit.load import LONGEST, complaint
from tests.kit.processes import Byline, Place, sign_up
from tests.kit.visitors import fill

NUMBER = 500
LENGTH = 8.0  # seconds
MOST = 64  # MiB more than before
# Seconds at most; of the first two, on a machine with a process for each core.
WATCHED = {"/health/live": 0.5, "/health/ready": 0.5, "/api/users": LONGEST}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("target", ["/api/posts?limit=100", "/auth/export"])
@pytest.mark.usefixtures("descriptors")
def test_clients_that_do_not_read_cost_little_and_others_are_answered(
    target: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest, report: Any
) -> None:
    report(f"{NUMBER} clients ask for {target} and do not read, {kind}")
    settings = {}
    if kind == "postgresql":
        settings["DATABASE_URL"] = request.getfixturevalue("database")
    with Place(tmp_path, **settings).serving() as byline:
        account = sign_up(byline.url)
        fill(byline, account)
        for path in (*WATCHED, "/api/posts?limit=100"):
            assert complaint(byline.get(path), {200}) is None
        before = byline.held["MiB"]
        bearer = [": ".join(item) for item in account.bearer.items()]
        with ExitStack() as stack, _watched(byline) as times:
            clients = [stack.enter_context(connected(byline, n, 4096)) for n in range(NUMBER)]
            for client in clients:
                client.sendall(raw.get(target, *bearer))
            most = _most(byline)
    longest = {path: max(taken) for path, taken in times.items()}
    told = ", ".join(f"{path} within {seconds:.2f} s" for path, seconds in longest.items())
    report(longest=f"{max(longest.values()):.2f}", more=f"{most - before} MiB, {told}")
    assert most - before <= MOST
    most_of = {path: min(limit * _processes_per_core(), LONGEST) for path, limit in WATCHED.items()}
    assert [path for path, limit in most_of.items() if longest[path] >= limit] == []


def _processes_per_core() -> float:
    """How many processes shared a core in the last minute, at least one."""
    return max(os.getloadavg()[0] / (os.cpu_count() or 1), 1.0)


def _most(byline: Byline) -> int:
    """The most that it holds in the next seconds, in MiB."""
    held = []
    end = time.monotonic() + LENGTH
    while time.monotonic() < end:
        held.append(byline.held["MiB"])
        time.sleep(0.02)  # between two looks, until the deadline
    return max(held)


@contextmanager
def _watched(byline: Byline) -> Iterator[dict[str, list[float]]]:
    """Asks for each of WATCHED again and again; gives the seconds that the answers took."""
    times: dict[str, list[float]] = {path: [] for path in WATCHED}
    complaints: list[str] = []
    is_over = threading.Event()

    def watch(path: str) -> None:
        while not is_over.is_set():
            answer = byline.get(path)
            if answer.status_code != 200 and (path != "/api/users" or complaint(answer, {200})):
                complaints.append(f"{path}: {answer.status_code} {answer.text}")
            times[path].append(answer.elapsed.total_seconds())
            is_over.wait(0.05)

    threads = [threading.Thread(target=watch, args=(path,)) for path in WATCHED]
    for thread in threads:
        thread.start()
    yield times
    is_over.set()
    for thread in threads:
        thread.join()
    assert complaints == []
