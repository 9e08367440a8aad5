"""Guesses at a password are counted once, however many processes answer them."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import httpx
import pytest

from tests.kit import databases
from tests.kit.commands import PASSWORD
from tests.kit.processes import Byline, Place
from tests.server.conftest import Start

GUARDED = {
    "RATE_LIMIT_ENABLED": "true",
    "RATE_LIMIT_CLIENT": "10000 per minute",
    "RATE_LIMITS": "login=10000 per minute",
}


def sign_in(url: str, email: str, password: str) -> int:
    """The status; asks again while there is no room to hash, as Retry-After says."""
    body = {"email": email, "password": password}
    deadline = time.monotonic() + 60
    while True:
        status = httpx.post(f"{url}/auth/login", json=body, timeout=60).status_code
        if status != 503 or time.monotonic() > deadline:
            return status


def guess(email: str, *services: Byline) -> Counter[int]:
    """What becomes of sixty guesses at once, each on a connection of its own."""
    together = Barrier(60)

    def one(number: int) -> int:
        together.wait()
        return sign_in(services[number % len(services)].url, email, "wrong")

    with ThreadPoolExecutor(60) as threads:
        return Counter(threads.map(one, range(60)))


def test_two_workers_without_a_store_compare_ten_guesses(start: Start) -> None:
    byline = start(WORKERS="2", **GUARDED)
    body = {"email": "anna@example.com", "password": PASSWORD}
    assert byline.request("POST", "/auth/register", json=body).status_code == 201
    for email in ("anna@example.com", "nobody@example.com"):
        assert guess(email, byline) == {401: 10, 429: 50}
    assert sign_in(byline.url, "anna@example.com", PASSWORD) == 429


@pytest.mark.parametrize("email", ["anna@example.com", "nobody@example.com"])
def test_two_services_on_one_postgresql_compare_ten_guesses(tmp_path: Path, email: str) -> None:
    place = Place(tmp_path / "place", DATABASE_URL=databases.postgresql())
    with place.serving(**GUARDED) as one, place.serving(**GUARDED) as two:
        body = {"email": "anna@example.com", "password": PASSWORD}
        assert one.request("POST", "/auth/register", json=body).status_code == 201
        assert guess(email, one, two) == {401: 10, 429: 50}
