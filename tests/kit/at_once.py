"""Calls that all start at the same moment, and what became of them."""

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
from tests.kit.serving import Person, Server
from tests.kit.smtp import until

ROUNDS = 5  # of a race that one side wins or the other
ANY = {"If-Match": "*"}

Answering = Callable[[], httpx.Response]


def at_once(*calls: Answering) -> list[httpx.Response]:
    """The answers to calls that start together, each in a thread of its own; one that the server
    had no time for is made again."""
    barrier = Barrier(len(calls))

    def run(call: Answering) -> httpx.Response:
        barrier.wait()
        answer = call()
        while answer.status_code == 503:  # on a machine that is busy; nothing was done
            time.sleep(int(answer.headers["Retry-After"]))  # as the answer asks for
            answer = call()
        return answer

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def codes(answers: list[httpx.Response]) -> set[str]:
    return {answer.json()["code"] for answer in answers if answer.status_code >= 400}


def rows(server: Server, *conditions: Any) -> int:
    [[count]] = server.execute(select(func.count()).where(*conditions))
    return int(count)


def erased(person: Person) -> None:
    """Wait until nothing of a deleted account is still to be removed."""
    until(lambda: not rows(person.server, Deletion.user_id == person.id))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def signing_in(http: httpx.Client, email: str, password: str) -> Answering:
    return partial(http.post, "/auth/login", json={"email": email, "password": password})
