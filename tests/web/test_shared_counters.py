"""Processes share their metrics through files, and no count is lost or doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from service.engine.observe.shared_counters import CounterKey, Numbers
from tests.kit import commands
from tests.kit.prometheus import scrape
from tests.kit.smtp import until
from tests.kit.workers import answered_by

A, B = ("a", "one"), ("b",)
GAUGE = ("gauge",)


def sharing(folder: Path) -> Numbers:
    numbers = Numbers()
    numbers.share(folder, lasts=lambda key: key != GAUGE)
    return numbers


def together(numbers: Numbers) -> dict[CounterKey, float]:
    """What all have counted, gauges only of those that live."""
    total = Counter[CounterKey]()
    for lives, own in numbers.everybodys():
        total.update({key: value for key, value in own.items() if lives or key != GAUGE})
    return dict(total)


def test_a_single_process_counts_in_its_own_memory() -> None:
    numbers = Numbers()
    numbers.add(A, 1)
    numbers.add(A, 2.5)
    numbers.set(B, 7)
    numbers.values[numbers.slot(A)] += 1
    assert list(numbers.everybodys()) == [(True, {A: 4.5, B: 7.0})]


def test_processes_see_each_others_counts_at_once(tmp_path: Path) -> None:
    one, other = sharing(tmp_path), sharing(tmp_path)
    one.add(A, 1)
    other.add(B, 2)
    other.add(A, 3)
    assert together(one) == together(other) == {A: 4, B: 2}
    one.add(A, 1)
    assert together(other)[A] == 5


def test_counts_from_before_sharing_are_kept(tmp_path: Path) -> None:
    numbers = Numbers()
    numbers.add(A, 3)
    numbers.share(tmp_path, lasts=lambda _: True)
    assert together(sharing(tmp_path)) == {A: 3}


def test_a_new_process_continues_the_counters_of_a_dead_one(tmp_path: Path) -> None:
    one, other = sharing(tmp_path), sharing(tmp_path)
    one.add(A, 5)
    one.set(GAUGE, 9)
    other.set(GAUGE, 1)
    assert together(other) == {A: 5, GAUGE: 10}
    one.close()
    assert together(other) == {A: 5, GAUGE: 1}
    third = sharing(tmp_path)
    third.add(A, 1)
    assert together(other) == together(third) == {A: 6, GAUGE: 1}
    assert len(list(tmp_path.iterdir())) == 2


def test_other_files_in_the_metrics_folder_are_left_alone(tmp_path: Path) -> None:
    for name in ("a.numbers", "notes.txt"):
        (tmp_path / name).write_bytes(b"something else")
    one, other = sharing(tmp_path), sharing(tmp_path)
    one.add(A, 1)
    assert together(other) == {A: 1}
    assert (tmp_path / "a.numbers").read_bytes() == b"something else"


def test_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    sharing(tmp_path)
    [path] = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_threads_lose_no_count() -> None:
    numbers = Numbers()
    with ThreadPoolExecutor(8) as threads:
        for _ in range(8):
            threads.submit(lambda: [numbers.add((str(n % 50),), 1) for n in range(5000)])
    [(_, own)] = numbers.everybodys()
    assert own == {(str(n),): 800 for n in range(50)}


def test_counters_that_do_not_fit_are_dropped_without_damage() -> None:
    numbers = Numbers()
    for number in range(5000):
        numbers.add((f"key-{number}",), number)
    [(_, own)] = numbers.everybodys()
    assert 4000 < len(own) < 5000
    assert all(key == (f"key-{value:.0f}",) for key, value in own.items())


def test_counting_in_one_process_works_without_fcntl() -> None:
    code = "import sys; sys.modules['fcntl'] = None; "
    code += "from service.engine.observe.shared_counters import Numbers; "
    code += "numbers = Numbers(); numbers.add(('a',), 1); assert list(numbers.everybodys())"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=commands.ROOT)


def test_an_unusable_folder_is_one_line(tmp_path: Path) -> None:
    commands.run(tmp_path, "db", "upgrade")
    ended = commands.run(tmp_path, "serve", METRICS_DIR="/dev/null/metrics")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("byline: METRICS_DIR cannot be used: ")
    assert ended.stderr.count("\n") == 1


@pytest.fixture
def two_workers(tmp_path: Path) -> object:
    settings = {"WORKERS": "2", "METRICS_DIR": "metrics", "RATE_LIMIT_ENABLED": "false"}
    with commands.serving(tmp_path, **settings, SHUTDOWN_DELAY="0") as url:
        yield url


def count_lists(url: str) -> float:
    return scrape(url).get(("byline_requests_total", "list_users", "200"), 0)


def ask_both(url: str, times: int) -> set[int]:
    """List users so often, over new connections, until two workers have answered."""
    workers = set()
    for _ in range(times):
        with httpx.Client(base_url=url) as client:
            workers.add(answered_by(client.get("/api/users").raise_for_status()))
    return workers


def test_workers_share_their_counts_and_a_new_one_continues_them(two_workers: str) -> None:
    url, asked, workers = two_workers, 0, set[int]()
    while len(workers) < 2:
        workers |= ask_both(url, 5)
        asked += 5
        assert asked < 500
    for _ in range(10):  # whichever answers
        assert count_lists(url) == asked
    until(lambda: scrape(url)["byline_processes",] == 2)
    before = scrape(url)
    os.kill(min(workers), signal.SIGKILL)
    until(lambda: not psutil.pid_exists(min(workers)))
    until(lambda: answers(url) and scrape(url)["byline_processes",] == 2)
    after = scrape(url)
    for key, value in before.items():
        if key[0].endswith(("_total", "_bucket", "_count", "_sum")):
            assert after[key] >= value, key
    assert count_lists(url) == asked
    ask_both(url, 10)
    assert count_lists(url) == asked + 10
    assert after["byline_pool_capacity", "hashing"] == 2 * 64


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live").status_code == 200
    except httpx.TransportError:  # of the connections that the killed one had
        return False
