"""Limits on refreshing: a burst in one session is allowed, and repetitions are limited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx

from tests.kit.serving import Person, Server
from tests.kit.sessions import generation

BURST = 40


def refreshed(server: Server, tokens: dict[str, Any]) -> httpx.Response:
    with server.client(tokens["refresh_token"]) as client:
        return client.post("/auth/refresh")


def test_forty_concurrent_refreshes_all_succeed(serve: Callable[..., Server]) -> None:
    server = serve(rate_limit_enabled=True)
    tokens = server.sign_up().tokens
    for expected in (1, 2, 3):
        with ThreadPoolExecutor(BURST) as threads:
            answers = list(threads.map(partial(refreshed, server), [tokens] * BURST))
        assert Counter(answer.status_code for answer in answers) == {200: BURST}
        assert {generation(answer.json()) for answer in answers} == {expected}
        tokens = answers[-1].json()


def test_repetitions_have_a_limit_whose_refusal_ends_nothing(serve: Callable[..., Server]) -> None:
    server = serve(rate_limit_enabled=True, rate_limits={"repeat": "2 per day"})
    anna, other = server.sign_up(), server.sign_up()
    answers = [refreshed(server, anna.tokens) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["code"] == "rate-limited"
    assert '"repeat";r=0' in answers[-1].headers["RateLimit"]
    actions = Counter(event["action"] for event in anna.http.get("/api/audit-events").json())
    assert actions["refresh-repeated"] == 2
    # What is refused ends nothing: the pair that came first is good, and so are other sessions.
    assert refreshed(server, answers[0].json()).status_code == 200
    assert [refreshed(server, other.tokens).status_code for _ in range(2)] == [200, 200]


def test_a_rate_limited_refresh_leaves_the_token_valid(serve: Callable[..., Server]) -> None:
    server = serve(rate_limit_enabled=True, rate_limits={"refresh": "1 per second"})
    anna: Person = server.sign_up()
    pair = refreshed(server, anna.tokens).json()
    refused = refreshed(server, pair)
    assert refused.status_code == 429
    assert generation(pair) == 1
    unlimited = serve(database_url=server.settings.database_url)
    again = refreshed(unlimited, pair)
    assert (again.status_code, generation(again.json())) == (200, 2)
