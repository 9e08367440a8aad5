"""Clients that read or send slowly, or wait for a lock, do not slow down the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.kit.load import LONGEST, complaint
from tests.kit.processes import Account, Byline, Place, sign_up
from tests.kit.visitors import export, fill, visit

NUMBER = 10
LENGTH = 8.0  # seconds
THREADS = "8"  # fewer than there are of each kind


def test_slow_clients_do_not_slow_others(tmp_path: Path, database: str, report: Any) -> None:
    report("10 slow readers, 10 slow senders, 10 stuck handlers")
    place = Place(tmp_path, DATABASE_URL=database, WORKER_THREADS=THREADS)
    with place.serving() as byline:
        account = sign_up(byline.url)
        fill(byline, account)
        with _readers(byline, account), _senders(byline, account):
            lives, reads = _watch(byline)
            with _stuck(byline, account, database) as changes:
                lives_with_stuck, _ = _watch(byline)
        byline.wait()
        answers = [change.result() for change in changes]
    statuses = [answer.status_code for answer in answers]
    report(
        requests=len(lives + reads + lives_with_stuck + answers),
        refused=statuses.count(503),
        longest=f"{max(lives + reads + lives_with_stuck):.2f}",
        more=f"live within {max(lives + lives_with_stuck):.2f} s",
    )
    assert max(lives + lives_with_stuck) < 1
    assert max(reads) < LONGEST
    assert [why for answer in answers if (why := complaint(answer, {200}))] == []


def _watch(byline: Byline) -> tuple[list[float], list[float]]:
    """The seconds after which it said that it lives, and after which it has answered a reader."""
    times: dict[str, list[float]] = {"/health/live": [], "/api/users": []}
    until = time.monotonic() + LENGTH / 2
    while time.monotonic() < until:
        for path, taken in times.items():
            answer = byline.get(path)
            assert complaint(answer, {200}) is None
            taken.append(answer.elapsed.total_seconds())
        time.sleep(0.05)  # between two looks, until the deadline
    lives, reads = times.values()
    return lives, reads


@contextmanager
def _readers(byline: Byline, account: Account) -> Iterator[None]:
    """Many who have asked for much and take next to nothing."""
    with ExitStack() as stack:
        readers = [stack.enter_context(export(byline, account)) for _ in range(NUMBER)]
        for reader in readers:
            assert reader.recv(100).startswith(b"HTTP/1.1 200")
        yield


@contextmanager
def _senders(byline: Byline, account: Account) -> Iterator[None]:
    """Many whose bodies come a byte at a time."""
    lines = ["POST /api/posts HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 100"]
    lines += ["Content-Type: application/json", f"Authorization: {account.bearer['Authorization']}"]
    head = "\r\n".join([*lines, "", "{"]).encode()
    ended = threading.Event()
    with ExitStack() as stack:
        senders = [stack.enter_context(visit(byline, head)) for _ in range(NUMBER)]

        def send() -> None:
            while not ended.wait(0.5):
                for sender in senders:
                    sender.send(b" ")

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@contextmanager
def _stuck(byline: Byline, account: Account, url: str) -> Iterator[list[Any]]:
    """Many changes of a post that another has locked."""
    with psycopg.connect(url) as other, ThreadPoolExecutor(NUMBER) as threads:
        found = other.execute("SELECT id FROM posts LIMIT 1 FOR UPDATE").fetchone()
        assert found
        yield [
            threads.submit(_change, byline, account, f"/api/posts/{found[0]}")
            for _ in range(NUMBER)
        ]
        other.rollback()


def _change(byline: Byline, account: Account, path: str) -> httpx.Response:
    headers = {**account.bearer, "If-Match": "*"}
    return byline.request("PATCH", path, json={"title": "New"}, headers=headers)
