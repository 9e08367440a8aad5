"""Runs calls that all start at the same moment, and returns their answers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import httpx
from sqlalchemy import func, select

from service.models import Deletion
from tests.kit.hashing import racing
from tests.kit.serving import Person, Server
from tests.kit.smtp import until

ROUNDS = 5  # repetitions of a race that either side may win
ANY = {"If-Match": "*"}

Answering = Callable[[], httpx.Response]


def at_once(*calls: Answering) -> list[httpx.Response]:
    """The answers to calls that start together, each in its own thread; a call that gets a 503 is
    repeated."""
    barrier = Barrier(len(calls))

    def run(call: Answering) -> httpx.Response:
        barrier.wait()
        answer = call()
        while answer.status_code == 503:  # the machine is busy, and nothing was done
            time.sleep(int(answer.headers["Retry-After"]))  # as the answer asks
            answer = call()
        return answer

    with racing(), ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def codes(answers: list[httpx.Response]) -> set[str]:
    return {answer.json()["code"] for answer in answers if answer.status_code >= 400}


def rows(server: Server, *conditions: Any) -> int:
    [[count]] = server.execute(select(func.count()).where(*conditions))
    return int(count)


def erased(person: Person) -> None:
    """Wait until everything of a deleted account has been removed."""
    until(lambda: not rows(person.server, Deletion.user_id == person.id))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def signing_in(http: httpx.Client, email: str, password: str) -> Answering:
    return partial(http.post, "/auth/login", json={"email": email, "password": password})
