"""Under a long mixed load, memory, files, threads and tables do not grow."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.kit.commands import PASSWORD
from tests.kit.load import PAUSE, Load, complaint
from tests.kit.processes import Account, Byline, Place, seconds, sign_up, told

LENGTH = 600  # seconds, unless SOAK says otherwise
SPARE = {"MiB": 24, "threads": 2, "descriptors": 8}  # by which they may still grow
MOST = 1_000_000
POLICIES = ("login", "register", "refresh", "search", "export", "write")
POLICIES += ("account", "strangers", "confirm", "password")
# What visitors leave behind has had its day after some seconds, instead of hours and weeks.
_EXPIRED = {
    "sessions": "created_at < now() - interval '8 s'",
    "idempotency_keys": "expires_at < now() + interval '24 h' - interval '8 s'",
    "mails": "kind = 'password-reset' AND due_at IS NULL",
}
_COUNT = """
SELECT (SELECT count(*) FROM sessions WHERE user_id = ANY(%(of)s))
     + (SELECT count(*) FROM idempotency_keys WHERE user_id = ANY(%(of)s))
     + (SELECT count(*) FROM mails WHERE user_id = ANY(%(of)s) AND kind = 'password-reset')
"""


def test_memory_files_and_threads_do_not_grow(
    tmp_path: Path, database: str, store: Any, report: Any
) -> None:
    length = seconds("SOAK", LENGTH)
    report(f"soak: mixed load for {length} s")
    limits = [f"{name}={MOST} per minute" for name in POLICIES]
    limits.append(f"mail={MOST} per hour;{MOST} per hour")
    place = Place(
        tmp_path,
        DATABASE_URL=database,
        RATE_LIMIT_ENABLED="true",
        RATE_LIMIT_STORAGE_URL=store.connection_url,
        RATE_LIMIT_CLIENT=f"{MOST} per minute",
        RATE_LIMITS=",".join(limits),
    )
    with place.serving() as byline:
        visitors = [sign_up(byline.url) for _ in range(2)]
        load = Load(byline.url, [sign_up(byline.url) for _ in range(4)], writers=3)
        with load.running(), _visits(byline, visitors) as wrong:
            load.hold(length / 3)  # by then every thread, connection and cache is there
            held, rows = [byline.held], []
            until = time.monotonic() + length * 2 / 3
            while time.monotonic() < until:
                load.hold(min(10, length / 8))
                rows.append(_purge(place, database, visitors))
                held.append(byline.held)
        load.settle()
        report.settle(load, database)
    warm, end = held[0], held[-1]
    report(more=f"warm: {told(warm)}; at the end: {told(end)}; rows after each purge: {rows}")
    assert wrong == []
    assert {name: end[name] for name in SPARE if end[name] > warm[name] + SPARE[name]} == {}
    assert max(rows) < 2 * rows[0] + 100


def _purge(place: Place, database: str, visitors: list[Account]) -> int:
    """How many rows of those with a lifetime visitors have, once the expired ones have gone."""
    ids = [visitor.id for visitor in visitors]
    with psycopg.connect(database) as connection:
        for table, condition in _EXPIRED.items():
            update = f"UPDATE {table} SET expires_at = now() WHERE user_id = ANY(%s)"
            connection.execute(f"{update} AND {condition}", [ids])
    purged = place.run("purge")
    assert purged.returncode == 0, purged.stderr
    with psycopg.connect(database) as connection:
        (rows,) = connection.execute(_COUNT, {"of": ids}).fetchone() or (0,)
    return int(rows)


@contextmanager
def _visits(byline: Byline, visitors: list[Account]) -> Iterator[list[str]]:
    """Visitors come and go until the end of the block; what nobody should be answered."""
    wrong: list[str] = []
    ended = threading.Event()

    def come_and_go(visitor: Account) -> None:
        with httpx.Client(base_url=byline.url, timeout=60, verify=False) as client:
            number = 0
            while not ended.is_set():
                number += 1
                for answer in _visit(client, visitor.email, number):
                    if why := complaint(answer, {200, 201, 202, 204}):
                        wrong.append(f"{answer.request.method} {answer.request.url.path}: {why}")
                    ended.wait(PAUSE)

    threads = [threading.Thread(target=come_and_go, args=(visitor,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _visit(client: httpx.Client, email: str, number: int) -> Iterator[httpx.Response]:
    """All that one does who comes by; every second one forgets to log out."""
    signed_in = client.post("/auth/login", json={"email": email, "password": PASSWORD})
    yield signed_in
    tokens = signed_in.json()
    refresh = {"Authorization": f"Bearer {tokens['refresh_token']}"}
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    yield client.post("/auth/refresh", headers=refresh)
    body = {"title": f"Visit {number}", "content": "Tea and cake."}
    key = {"Idempotency-Key": secrets.token_hex()}
    made = client.post("/api/posts", json=body, headers=bearer | key)
    yield made
    place = made.headers["location"]
    match = {"If-Match": made.headers["etag"]}
    yield client.patch(place, json={"title": "Changed"}, headers=bearer | match)
    yield client.get("/api/search", params={"q": "cake"})
    yield client.get("/api/audit-events", headers=bearer)
    yield client.get("/auth/sessions", headers=bearer)
    yield client.post("/auth/password-resets", json={"email": email})
    if number % 10 == 0:
        yield client.get("/auth/export", headers=bearer)
    yield client.delete(place, headers=bearer)
    if number % 2:
        yield client.post("/auth/logout", headers=bearer)
