"""Clients that write constantly, and remember what was acknowledged, and when."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.kit.commands import PASSWORD

WORD = "palimpsest"


@dataclass(frozen=True)
class Written:
    """A post, and when its answer arrived."""

    post: dict[str, Any]
    moment: float


@dataclass
class Writers:
    """The clients, and what they have written, in the order of the answers."""

    written: list[Written] = field(default_factory=list)
    leaving: threading.Event = field(default_factory=threading.Event)

    def before(self, moment: float) -> list[dict[str, Any]]:
        return [one.post for one in list(self.written) if one.moment < moment]

    def during(self, start: float, end: float) -> int:
        return sum(start < one.moment < end for one in list(self.written))

    def write(self, url: str) -> None:
        with signed_up(url) as author:
            while not self.leaving.is_set():
                text = {"title": secrets.token_hex(8), "content": f"A {WORD} is never finished."}
                key = {"Idempotency-Key": secrets.token_hex(8)}
                answer = author.post("/api/posts", json=text, headers=key)
                assert answer.status_code == 201, answer.text
                self.written.append(Written(answer.json(), time.monotonic()))


@contextmanager
def writing(url: str, number: int = 2) -> Iterator[Writers]:
    """Writers that run until the block ends; raises the error of any of them."""
    writers = Writers()
    with ThreadPoolExecutor(number) as threads:
        at_work = [threads.submit(writers.write, url) for _ in range(number)]
        try:
            yield writers
        finally:
            writers.leaving.set()
    for one in at_work:
        one.result()


def signed_up(url: str) -> httpx.Client:
    """A client with the access token of a new user."""
    return client(url, sign_in(url, register(url)))


def client(url: str, bearer: dict[str, str] | None = None) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=60, headers=bearer)


def register(url: str) -> str:
    """The e-mail address of a new user."""
    email = f"{secrets.token_hex(6)}@example.com"
    with client(url) as anonymous:
        known = {"email": email, "password": PASSWORD}
        answer = anonymous.post("/auth/register", json=known)
    assert answer.status_code == 201, answer.text
    return email


def sign_in(url: str, email: str, password: str = PASSWORD) -> dict[str, str]:
    """The header with the access token of a new session."""
    with client(url) as anonymous:
        known = {"email": email, "password": password}
        answer = anonymous.post("/auth/login", json=known)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}
