"""Deleting a very large account delays no other request and leaves nothing behind."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy as sa

from tests.kit.load import PAUSE, complaint
from tests.kit.processes import Account, Byline, Place, seconds, sign_up
from tests.kit.smtp import until

POSTS = seconds("LARGE_ACCOUNT_POSTS", 500_000)
PATIENCE = 1200  # seconds
QUICK = 0.1  # seconds: the 99th percentile of others' requests
WORSE = 3  # times what it was before the deletion, where a busy machine is never so quick

# Half a million posts of one author, the newest of all, each with its search document.
FILL = """
INSERT INTO posts (id, author_id, title, content, version, created_at, updated_at)
SELECT (lpad(to_hex(ms + n / 100), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
    %(author)s, 'Number ' || n, repeat('Some words. ', 20), 1, now(), now()
FROM generate_series(1, %(posts)s) n,
    (SELECT (extract(epoch FROM now()) * 1000)::bigint AS ms) moment;
INSERT INTO post_documents (post_id, words, lexemes)
SELECT id, 'number some words', '''number'':1 ''some'':2 ''word'':3'::tsvector
FROM posts WHERE author_id = %(author)s;
ANALYZE;
"""


class Others:
    """Clients that read and write meanwhile; `taken` are the seconds of each answer."""

    def __init__(self, url: str, accounts: list[Account]) -> None:
        self._url = url
        self._accounts = accounts
        self._stopped = threading.Event()
        self._numbers = count()
        self.taken: list[float] = []
        self.wrong: list[str] = []

    @contextmanager
    def running(self) -> Iterator[Others]:
        threads = [threading.Thread(target=self._work, args=(own,)) for own in self._accounts]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.taken, n=100)[98]

    def _work(self, account: Account) -> None:
        with httpx.Client(base_url=self._url, timeout=60, headers=account.bearer) as client:
            while not self._stopped.wait(PAUSE):
                self._send(client, next(self._numbers) % 4)

    def _send(self, client: httpx.Client, turn: int) -> None:
        began = time.monotonic()
        if turn == 0:
            answer = client.post("/api/posts", json={"title": "Others", "content": "go on."})
        else:
            answer = client.get(("/api/posts", "/auth/me", "/api/users?limit=5")[turn - 1])
        self.taken.append(time.monotonic() - began)
        if why := complaint(answer, {200, 201}):
            self.wrong.append(why)


def work_of_others(url: str, accounts: list[Account], requests: int) -> Others:
    others = Others(url, accounts)
    with others.running():
        until(lambda: len(others.taken) >= requests)
    return others


def rows_left(url: str, user_id: str) -> Callable[[], int]:
    """Asks how many rows of the account there are, itself included."""
    url = url.replace("postgresql://", "postgresql+psycopg://")
    engine = sa.create_engine(url, poolclass=sa.NullPool)  # whose connections do not stay open
    statement = sa.text(
        "SELECT (SELECT count(*) FROM users WHERE id = :id)"
        " + (SELECT count(*) FROM deletions WHERE user_id = :id)"
        " + (SELECT count(*) FROM (SELECT 1 FROM posts WHERE author_id = :id LIMIT 1) p)"
    )

    def ask() -> int:
        with engine.connect() as connection:
            return int(connection.scalar(statement, {"id": user_id}) or 0)

    return ask


def delete_among_others(
    byline: Byline, place: Place, owner: Account, others: list[Account], report: Any
) -> None:
    """Delete an account while others work; a process is killed in the middle of it."""
    before = work_of_others(byline.url, others, 400)
    left = rows_left(place.settings["DATABASE_URL"], owner.id)
    watched = Others(byline.url, others)
    began = time.monotonic()
    with watched.running():
        answer = byline.request("DELETE", f"/api/users/{owner.id}", headers=owner.bearer)
        taken = time.monotonic() - began
        assert answer.status_code == 204
        until(lambda: len(watched.taken) > 100)
    byline.process.kill()
    byline.process.wait(PATIENCE)
    assert left()
    with place.serving(port=byline.port) as again:
        meanwhile = Others(again.url, others)
        with meanwhile.running():
            deadline = time.monotonic() + PATIENCE
            while left():
                assert time.monotonic() < deadline
                assert again.status(f"/api/users/{owner.id}") == 404
                time.sleep(1)  # between two looks, so that they do not load the server
    whole = time.monotonic() - began
    report(
        requests=len(meanwhile.taken),
        longest=f"{max(meanwhile.taken):.2f}",
        more=f"answered within {taken:.2f} s, all gone after {whole:.0f} s; p99 of others"
        f" {meanwhile.p99 * 1000:.0f} ms, {before.p99 * 1000:.0f} ms before",
    )
    assert watched.wrong + meanwhile.wrong == []
    assert taken < 1
    assert meanwhile.p99 < max(QUICK, WORSE * before.p99)


def test_half_a_million_posts_are_removed_while_others_work(
    tmp_path: Path, database: str, report: Any
) -> None:
    report(f"an account with {POSTS} posts is deleted, a kill -9 meanwhile, postgresql")
    place = Place(tmp_path, DATABASE_URL=database)
    with place.serving() as byline:
        owner, *others = [sign_up(byline.url) for _ in range(4)]
        work_of_others(byline.url, others, 100)
        with psycopg.connect(database, autocommit=True) as direct:
            for statement in FILL.split(";\n"):
                direct.execute(statement.strip(), {"author": owner.id, "posts": POSTS})
        delete_among_others(byline, place, owner, others, report)


@pytest.mark.parametrize("posts", [80])
def test_large_posts_are_removed_from_sqlite_while_others_work(
    posts: int, tmp_path: Path, report: Any
) -> None:
    report(f"an account with {posts} posts of 300 kB is deleted, a kill -9 meanwhile, sqlite")
    place = Place(tmp_path)
    letters = random.Random(1)
    with place.serving() as byline:
        owner, *others = [sign_up(byline.url) for _ in range(4)]
        for number in range(posts):
            content = "".join(letters.choices("".join(map(chr, range(0x4E00, 0x5E00))), k=100_000))
            body = {"title": f"Number {number}", "content": content}
            made = byline.request("POST", "/api/posts", json=body, headers=owner.bearer)
            assert made.status_code == 201, made.text[:500]
        delete_among_others(byline, place, owner, others, report)
