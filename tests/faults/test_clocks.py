"""Two processes whose clocks are five seconds apart act as one service."""

from __future__ import annotations

from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from tests.kit.commands import PASSWORD
from tests.kit.forked import UNFORKED
from tests.kit.load import Load
from tests.kit.processes import Byline, Place, sign_up
from tests.kit.programs import program

APART = 5  # seconds
POSTS = 50
LOGINS = 10  # a minute, for one address


@pytest.fixture
def two(tmp_path: Path, database: str, store: Any, stack: ExitStack) -> list[Byline]:
    """The first has the time of this machine, and the second is ahead."""
    program("faketime")
    [library] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    ahead = {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"+{APART}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        **UNFORKED,
    }
    place = Place(
        tmp_path,
        DATABASE_URL=database,
        RATE_LIMIT_ENABLED="true",
        RATE_LIMIT_STORAGE_URL=store.connection_url,
        RATE_LIMIT_CLIENT="100000 per minute",
        RATE_LIMITS="register=1000 per hour,write=100000 per minute",
        TRUSTED_PROXIES="127.0.0.1",
    )
    here, there = (stack.enter_context(place.serving(**clock)) for clock in ({}, ahead))
    return [here, there]


def test_two_processes_with_clocks_apart_are_one_service(
    two: list[Byline], database: str, report: Any
) -> None:
    report(f"two processes, the second {APART} s ahead")
    here, there = two
    assert APART - 1 <= _clock(there) - _clock(here) <= APART + 2
    load = Load([here.url, there.url], [sign_up(here.url), sign_up(there.url)])
    with load.running():
        load.go_on(POSTS)
        made = {write.id for write in load.acknowledged if write.path == "/api/posts"}
        pages = _walked(two)
    assert len(pages) == len(set(pages))
    assert made <= set(pages)
    report.settle(load, database)
    for first, second in ((here, there), (there, here)):
        _tokens_are_good(first, second)
        _sessions_are_right(first, second)
    _limits_are_one(two)
    report(more=f"{len(pages)} posts on pages of either process")


def _clock(byline: Byline) -> float:
    return parsedate_to_datetime(byline.get("/health/live").headers["date"]).timestamp()


def _tokens_are_good(first: Byline, second: Byline) -> None:
    """At once, and after each refresh, also of two tabs and with an answer that was lost."""
    account = sign_up(first.url)
    assert second.get("/auth/me", headers=account.bearer).json()["email"] == account.email
    old = {"Authorization": f"Bearer {account.tokens['refresh_token']}"}
    new = [one.request("POST", "/auth/refresh", headers=old) for one in (first, second)]
    assert [answer.status_code for answer in new] == [200, 200]
    for answer in new:
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        for one in (first, second):
            assert one.get("/auth/me", headers=bearer).status_code == 200


def _sessions_are_right(first: Byline, second: Byline) -> None:
    """A session ends everywhere at once, and so do those of the old password."""
    account = sign_up(first.url)
    other = _signed_in(second, account.email)
    for one in (first, second):
        sessions = one.get("/auth/sessions", headers=account.bearer).json()
        assert [session["current"] for session in sessions].count(True) == 1
        assert len(sessions) == 2
    assert second.request("POST", "/auth/logout", headers=other).status_code == 204
    assert [one.get("/auth/me", headers=other).status_code for one in (first, second)] == [401] * 2
    other = _signed_in(second, account.email)
    change = {"current_password": PASSWORD, "new_password": f"{PASSWORD} 2"}
    changed = first.request("PUT", "/auth/password", json=change, headers=account.bearer)
    assert changed.status_code in {200, 204}, changed.text
    assert [one.get("/auth/me", headers=other).status_code for one in (first, second)] == [401] * 2


def _limits_are_one(two: list[Byline]) -> None:
    headers = {"X-Forwarded-For": "203.0.113.7"}  # an address of its own
    known = {"email": "nobody@example.com", "password": PASSWORD}
    statuses = [
        two[number % 2].request("POST", "/auth/login", json=known, headers=headers).status_code
        for number in range(LOGINS + 4)
    ]
    assert statuses == [401] * LOGINS + [429] * 4


def _signed_in(byline: Byline, email: str) -> dict[str, str]:
    answer = byline.request("POST", "/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def _walked(two: list[Byline]) -> list[str]:
    """The posts of all pages from the newest on, each page from the other process."""
    found: list[str] = []
    path = "/api/posts?limit=7"
    while path:
        answer: httpx.Response = two[len(found) % 2].get(path)
        found += [post["id"] for post in answer.json()]
        path = urljoin(path, answer.links["next"]["url"]) if "next" in answer.links else ""
    return found
