"""Locks, deadlocks and conflicts caused by a second connection: bounded waits, safe retries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.kit.load import LONGEST, Load, at_once, complaint
from tests.kit.postgres_cluster import Cluster
from tests.kit.processes import Account, Byline, Place, sign_up
from tests.kit.smtp import until

LOCKED = 8  # seconds
AT_ONCE = 600  # requests, more than a process takes on


@pytest.fixture
def byline(tmp_path: Path, database: str) -> Iterator[Byline]:
    with Place(tmp_path, DATABASE_URL=database).serving() as running:
        yield running


@contextmanager
def locked_posts(url: str) -> Iterator[None]:
    """Nobody reads or writes posts until the end of the block."""
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE posts IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()


def test_a_slow_database_is_refused_in_time(byline: Byline, database: str, report: Any) -> None:
    report(f"database slow: the posts are locked for {LOCKED} s")
    load = Load(byline.url, [sign_up(byline.url) for _ in range(3)], registers=False)
    with load.running():
        load.go_on(20)
        with locked_posts(database):
            slowest = max(_lives(byline) for _ in range(LOCKED))
            assert byline.status("/health/ready") == 200
        load.go_on(20)
    retried = load.settle()
    report.settle(load, database, refuses=True)
    report(more=f"live within {slowest:.2f} s, {retried} retried")
    assert load.statuses[503]
    assert slowest < 1


def test_an_exhausted_pool_refuses_at_once_or_in_time(
    byline: Byline, database: str, report: Any
) -> None:
    report(f"pool exhausted: {AT_ONCE} reads at once while the posts are locked")
    account = sign_up(byline.url)
    with locked_posts(database), ThreadPoolExecutor(1) as thread:
        reads = thread.submit(asyncio.run, at_once(byline.port, "/api/posts", account, AT_ONCE))
        until(lambda: _waiting(database))
        slowest = _lives(byline)
        answers = reads.result()
    quick = sum(answer.elapsed.total_seconds() < 2 for answer in answers)
    longest = max(answer.elapsed.total_seconds() for answer in answers)
    refused = sum(answer.status_code == 503 for answer in answers)
    report(
        requests=AT_ONCE,
        refused=refused,
        longest=f"{longest:.1f}",
        more=f"{quick} within 2 s, live within {slowest:.2f} s",
    )
    assert [why for answer in answers if (why := complaint(answer, set()))] == []
    assert slowest < 1
    assert quick
    assert longest < LONGEST
    assert byline.status("/api/posts") == 200


def test_a_deadlock_is_tried_again(
    postgresql: Cluster, tmp_path: Path, database: str, report: Any
) -> None:
    report("deadlock, of which the service is the victim")
    # Seen late enough for the other to have closed the circle, and before any wait is given up.
    postgresql.execute(f"ALTER DATABASE {_name(database)} SET deadlock_timeout = '2500ms'")
    with Place(tmp_path, DATABASE_URL=database).serving() as byline:
        answer = _deadlocked(byline, database)
    with psycopg.connect(database, autocommit=True) as other:
        deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        until(lambda: other.execute(deadlocks).fetchone() == (1,))
        left = other.execute("SELECT content, version FROM posts").fetchall()
    report(requests=1, acknowledged=1, refused=0, lost=0, more="1 deadlock, answered 200")
    assert answer.status_code == 200, answer.text
    assert left == [("Changed once.", 2)]


def _deadlocked(byline: Byline, url: str) -> httpx.Response:
    """The answer to a user who changes a post while another transaction waits for it, which holds
    the row in which the size of the user's posts is counted."""
    account = sign_up(byline.url)
    post = _write(byline, account)
    with psycopg.connect(url) as other, ThreadPoolExecutor() as threads:
        other.execute("SET deadlock_timeout = '60s'")  # so that it is not this one who gives in
        other.execute("SELECT 1 FROM users WHERE id = %s FOR UPDATE", [account.id])
        body = {"content": "Changed once."}
        change = threads.submit(_send, byline, account, "PATCH", f"/api/posts/{post}", json=body)
        until(lambda: _waiting(url) == 1)
        other.execute("SELECT 1 FROM posts WHERE id = %s FOR UPDATE", [post])
        other.rollback()
        return change.result()


def test_a_conflict_of_serialisation_is_tried_again(
    postgresql: Cluster, tmp_path: Path, database: str, report: Any
) -> None:
    report("serialisation failure: one, two and three in a row")
    name = _name(database)
    postgresql.execute(
        f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'"
    )
    with Place(tmp_path, DATABASE_URL=database).serving() as byline:
        account = sign_up(byline.url)
        path = f"/api/posts/{_write(byline, account)}"
        answers = [_contested(byline, account, path, database)]
        for number in (2, 3):
            postgresql.execute(_CONFLICTS.format(number), name)
            answers.append(_send(byline, account, "PATCH", path, json={"title": "New"}))
    statuses = [answer.status_code for answer in answers]
    report(requests=3, acknowledged=2, refused=1, lost=0, more=f"answered {statuses}")
    assert statuses == [200, 200, 503]
    assert complaint(answers[2], set()) is None


# The first updates fail as PostgreSQL lets them fail: a sequence counts what is rolled back too.
_CONFLICTS = """
DROP SEQUENCE IF EXISTS tries;
CREATE SEQUENCE tries;
CREATE OR REPLACE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF nextval('tries') <= {} THEN
    RAISE 'could not serialize access' USING ERRCODE = 'serialization_failure';
  END IF;
  RETURN new;
END $$;
CREATE OR REPLACE TRIGGER conflict BEFORE UPDATE ON posts
  FOR EACH ROW EXECUTE FUNCTION conflict();
"""


def _contested(byline: Byline, account: Account, path: str, url: str) -> httpx.Response:
    """The answer to a change of a post that another changes under its hands."""
    with psycopg.connect(url) as other, ThreadPoolExecutor() as threads:
        other.execute("UPDATE posts SET updated_at = updated_at")
        changed = threads.submit(_send, byline, account, "PATCH", path, json={"title": "New"})
        until(lambda: _waiting(url) == 1)
        other.commit()
        return changed.result()


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _lives(byline: Byline) -> float:
    """The seconds after which it said that it lives, within a second in which it may rest."""
    start = time.monotonic()
    assert byline.status("/health/live") == 200
    taken = time.monotonic() - start
    time.sleep(max(0, 1 - taken))
    return taken


def _write(byline: Byline, account: Account) -> str:
    body = {"title": "A title", "content": "Some words."}
    return str(_send(byline, account, "POST", "/api/posts", json=body).json()["id"])


def _send(byline: Byline, account: Account, method: str, path: str, **more: Any) -> httpx.Response:
    headers = {**account.bearer, "If-Match": "*"}
    return byline.request(method, path, headers=headers, **more)


def _waiting(url: str) -> int:
    """How many wait for a lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with psycopg.connect(url) as other:
        (number,) = other.execute(query).fetchone() or (0,)
    return int(number)
