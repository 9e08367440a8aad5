"""Calls through a proxy with every fault: nothing is lost, nothing is doubled, nothing hangs, and
every failure is one that the clients document. CALLS=1000 makes more calls."""

from __future__ import annotations

import os
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from tests.kit.fault_proxy import FAULTS, FaultProxy, seeded
from tests.kit.serving import Person, Server
from tests.sdk.runtimes import Plans, Runtime

SEED = 20261130
CALLS = int(os.environ.get("CALLS", "250"))
WORKERS = 25
EACH = CALLS // WORKERS
LONGEST_CALL_SECONDS = 60  # four tries of two seconds, the pauses between them, and room
POSTS = "/api/posts"
WEIGHTS = {"create": 50, "read": 15, "update": 20, "delete": 10, "list": 4, "export": 1}
GONE = "ApiError not-found"
FAILURES = {
    "no answer",
    *("UnexpectedAnswer 200", "UnexpectedAnswer 401", "UnexpectedAnswer 429"),
    *("UnexpectedAnswer 502", "UnexpectedAnswer 520", "ApiError unavailable"),
    *("ApiError precondition-failed", GONE),
}


def plans(name: str, author: str) -> Plans:
    """For each worker: creations, changes and deletions of its own posts, reads, lists and exports
    of the author's."""
    random = Random(SEED)
    made = []
    for worker in range(WORKERS):
        plan: list[dict[str, str]] = []
        titles: list[str] = []
        for number in range(EACH):
            [what] = random.choices(list(WEIGHTS), [*WEIGHTS.values()])
            what = what if titles else "create"
            if what in {"read", "list", "export"}:
                plan.append({"do": what, "author": author})
                continue
            if what == "create":
                titles.append(f"{name} {worker} {number}")
            title = titles[-1] if what == "create" else random.choice(titles)
            plan.append({"do": what, "title": title, "content": f"{what} {number}"})
        made.append(plan)
    return made


def states(plan: Any, worker: list[tuple[str, float]]) -> dict[str, set[str | None]]:
    """For each title, the contents that its post may have now; None is for no post."""
    possible: dict[str, set[str | None]] = defaultdict(lambda: {None})
    for action, (outcome, _) in zip(plan, worker, strict=True):
        if "title" not in action or outcome == "skipped":
            continue
        title, is_gone = action["title"], action["do"] == "delete" or outcome == GONE
        # After other failures it is not known whether the service has done it, not even after that
        # of a stale version: browsers repeat a lost request by themselves.
        before = set() if outcome in {"done", GONE} else possible[title]
        possible[title] = before | {None if is_gone else action["content"]}
    return possible


def rows(person: Person) -> Iterator[dict[str, Any]]:
    """All posts of a person, as the service has them."""
    address = f"{POSTS}?author_id={person.id}&limit=100"
    while address:
        answer = person.http.get(address)
        yield from answer.json()
        address = answer.links.get("next", {}).get("url", "")


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_calls_in_a_storm_lose_nothing_and_double_nothing(
    runtime: Runtime, server: Server, anna: Person, expired: Any
) -> None:
    planned = plans(secrets.token_hex(4), anna.id)
    with FaultProxy(server.url, seeded(SEED)) as proxy:
        told = runtime.storm(proxy.url, expired, planned)

    outcomes = Counter(outcome for worker in told for outcome, _ in worker)
    assert set(outcomes) <= {"done", "skipped", *FAILURES}
    assert outcomes.total() == CALLS
    assert outcomes["done"] > CALLS / 2
    assert max(seconds for worker in told for _, seconds in worker) < LONGEST_CALL_SECONDS
    assert {each.fault for each in proxy.exchanges} == {None, *FAULTS}
    found: dict[str, list[str | None]] = defaultdict(list)
    for post in rows(anna):
        found[post["title"]].append(post["content"])
    for plan, worker in zip(planned, told, strict=True):
        for title, possible in states(plan, worker).items():
            [content] = found.pop(title, [None])
            assert content in possible, title
    assert not found
    assert len({each.bearer for each in proxy.reached("POST", "/auth/refresh")}) == 1
    repeated = Counter(each.key for each in proxy.reached("POST", POSTS))
    assert max(repeated.values()) > 1
    assert None not in repeated
