"""The signing keys are rotated and retired under load, on two worker processes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import jwt

from service.engine.tokens.keys import generate_key
from tests.kit.commands import PASSWORD, serving
from tests.kit.workers import answered_by

PATIENCE = 90  # seconds; a process looks for other keys once a minute at least
HASHING = {"/auth/register", "/auth/login"}  # few at a time
SETTINGS = {"WORKERS": "2", "RATE_LIMIT_ENABLED": "false", "JWT_KEYS_DIR": "keys"}


def test_keys_are_rotated_and_retired_without_a_failed_request(tmp_path: Path) -> None:
    with serving(tmp_path, **SETTINGS) as url, visiting(url, 3) as visitors:
        for number in (2, 3):
            come_again(visitors)
            generate_key(tmp_path / "keys", datetime.now(UTC) + timedelta(seconds=2))
            for visitor in visitors:
                wait_until(lambda v=visitor, n=number: len(v.tokens) == n or v.visit.done())
        come_again(visitors)

        kids, tokens = list(visitors[0].tokens), list(visitors[0].tokens.values())
        assert len(kids) == 3
        with each_worker(url) as workers:
            for worker in workers:
                assert [me(worker, token).status_code for token in tokens] == [200, 200, 200]
                assert kid_of(signed_in(worker, visitors[0].email)["access_token"]) == kids[-1]
                assert published(worker) == kids

        for visitor in visitors:
            del visitor.tokens[kids[0]]
        come_again(visitors)
        oldest = min((tmp_path / "keys").glob("*.pem"))
        oldest.unlink()
        with each_worker(url) as workers:
            for worker in workers:
                wait_until(lambda worker=worker: me(worker, tokens[0]).status_code == 401)
                assert me(worker, tokens[0]).json()["code"] == "invalid-token"
                assert [me(worker, token).status_code for token in tokens[1:]] == [200, 200]
                assert published(worker) == kids[1:]
        come_again(visitors)


@dataclass
class Visitor:
    """Shows one worker what the other has just given out, over and over.

    `tokens` are the first access tokens of one session by each key; they are shown each time.
    """

    url: str
    email: str = field(default_factory=lambda: f"{secrets.token_hex(6)}@example.com")
    tokens: dict[str, str] = field(default_factory=dict)
    rounds: int = 0
    leaving: bool = False
    visit: Future[None] = field(init=False)

    def stay(self) -> None:
        """Go round until told to leave; AssertionError or TransportError for what fails."""
        with each_worker(self.url) as workers:
            account = {"email": self.email, "password": PASSWORD}
            ask(workers[0], 201, "POST", "/auth/register", json=account)
            refresh = signed_in(workers[0], self.email)["refresh_token"]
            for self.rounds in count():
                if self.leaving:
                    return
                here, there = workers[self.rounds % 2], workers[1 - self.rounds % 2]
                refresh = self._go_round(here, there, refresh)

    def _go_round(self, here: httpx.Client, there: httpx.Client, refresh: str) -> str:
        pair = ask(here, 200, "POST", "/auth/refresh", refresh)
        token = pair["access_token"]
        self.tokens.setdefault(kid_of(token), token)
        other = signed_in(here, self.email)
        for shown in (token, other["access_token"], *self.tokens.values()):
            assert kid_of(shown) in published(there)
            assert me(there, shown).status_code == 200, me(there, shown).text
        ask(there, 204, "POST", "/auth/logout", other["refresh_token"])
        write_once((here, there), token)  # posts
        return pair["refresh_token"]


def write_once(workers: tuple[httpx.Client, ...], token: str) -> None:  # posts
    """Write one post with both workers and one key."""
    post = {"json": {"title": "Once", "content": "and only once."}}
    key = {"Idempotency-Key": secrets.token_hex(8)}
    one, other = (ask(w, 201, "POST", "/api/posts", token, key, **post) for w in workers)
    assert one == other


@contextmanager
def visiting(url: str, number: int) -> Iterator[list[Visitor]]:
    """Visitors who stay until the block ends; raises what went wrong for one of them."""
    visitors = [Visitor(url) for _ in range(number)]
    with ThreadPoolExecutor(number) as threads:
        for visitor in visitors:
            visitor.visit = threads.submit(visitor.stay)
        try:
            yield visitors
        finally:
            for visitor in visitors:
                visitor.leaving = True
    for visitor in visitors:
        visitor.visit.result()


def come_again(visitors: list[Visitor]) -> None:
    """Wait until each has gone round once from the beginning to the end."""
    for visitor, rounds in [(visitor, visitor.rounds + 2) for visitor in visitors]:
        wait_until(lambda v=visitor, n=rounds: v.rounds >= n or v.visit.done())
        if visitor.visit.done():
            visitor.visit.result()


@contextmanager
def each_worker(url: str) -> Iterator[list[httpx.Client]]:
    """Two clients, each with a connection that another of the two workers has taken."""
    workers: dict[int, httpx.Client] = {}
    with ExitStack() as stack:

        def found() -> bool:
            client = stack.enter_context(httpx.Client(base_url=url, timeout=60))
            workers[answered_by(client.get("/health/live"))] = client
            return len(workers) == 2

        wait_until(found)
        yield list(workers.values())


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask(
    worker: httpx.Client, expected: int, method: str, path: str, token: str = "", more=None, **body
) -> Any:
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    answer = worker.request(method, path, headers=bearer | (more or {}), **body)
    while answer.status_code == 503 and path in HASHING:  # on a machine that is busy
        time.sleep(int(answer.headers["Retry-After"]))  # as the answer asks for
        answer = worker.request(method, path, headers=bearer | (more or {}), **body)
    assert answer.status_code == expected, f"{method} {path}: {answer.text}"
    return answer.json() if answer.content else None


def signed_in(worker: httpx.Client, email: str) -> Any:
    return ask(worker, 200, "POST", "/auth/login", json={"email": email, "password": PASSWORD})


def me(worker: httpx.Client, token: str) -> httpx.Response:
    return worker.get("/auth/me", headers={"Authorization": f"Bearer {token}"})


def published(worker: httpx.Client) -> list[str]:
    return [key["kid"] for key in ask(worker, 200, "GET", "/.well-known/jwks.json")["keys"]]


def kid_of(token: str) -> str:
    return jwt.get_unverified_header(token)["kid"]
