"""Aborted exports leave nothing behind."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg

from tests.kit.load import at_once
from tests.kit.processes import Account, Byline, Place, sign_up, told
from tests.kit.smtp import until
from tests.kit.visitors import export, fill

ABORTED = 500
FIRST = 50
SPARE = 5  # connections that the pool may still have opened: one lost in a hundred would show


def test_aborted_exports_leave_nothing_behind(tmp_path: Path, database: str, report: Any) -> None:
    report(f"{ABORTED} aborted exports")
    with Place(tmp_path, DATABASE_URL=database).serving() as byline:
        account = sign_up(byline.url)
        fill(byline, account)
        # By these, as good as every thread and connection that there may be is there.
        asyncio.run(at_once(byline.port, "/api/users", account, 200))
        _abort(byline, account, FIRST)
        before = _settled(byline, database)
        _abort(byline, account, ABORTED)
        after = _settled(byline, database)
        whole = byline.get("/auth/export", headers=account.bearer)
    report(requests=ABORTED + FIRST, lost=0, more=f"before {told(before)}; after {told(after)}")
    assert _all_at_most(after, before)
    assert whole.status_code == 200
    assert whole.text.count('"type":"post"') == 80


def _abort(byline: Byline, account: Account, number: int) -> None:
    def one(_: int) -> None:
        with export(byline, account) as reader:
            assert reader.recv(1000).startswith(b"HTTP/1.1 200")

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(one, range(number)))


def _held(byline: Byline, database: str) -> dict[str, int]:
    """What the process has in hand."""
    with psycopg.connect(database) as other:
        query = (
            "SELECT count(*) FILTER (WHERE state <> 'idle') FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        (busy,) = other.execute(query).fetchone() or (0,)
    held = byline.held
    del held["MiB"]
    return held | {"connections at work": int(busy)}


def _settled(byline: Byline, database: str) -> dict[str, int]:
    """What it has in hand when nothing is going on any more."""
    seen: list[dict[str, int]] = []

    def is_settled() -> bool:
        seen.append(_held(byline, database))
        return len(seen) > 20 and all(held == seen[-1] for held in seen[-10:])

    until(is_settled)
    return seen[-1]


def _all_at_most(held: dict[str, int], before: dict[str, int]) -> bool:
    return all(held[name] <= number + SPARE for name, number in before.items())
