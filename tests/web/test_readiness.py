"""A probe gets a correct answer at once, under any load."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from service import application
from service.engine import assemble
from service.engine.database import revisions
from service.engine.database.transaction import db
from service.engine.http import health
from service.places import MIGRATIONS
from tests.kit.heads import NEWER, last
from tests.kit.postgres_cluster import cluster
from tests.kit.serving import Server
from tests.kit.smtp import until

Serve = Callable[..., Server]

MANY = 24  # connections, more than the threads and places that probes once had


def status(server: Server) -> int:
    return httpx.get(f"{server.url}/health/ready", timeout=60).status_code


@contextmanager
def asking(server: Server, path: str, number: int = MANY) -> Iterator[list[int]]:
    """The statuses of probes by so many clients, each of which asks again and again."""
    statuses: list[int] = []
    ended = threading.Event()

    def go_on() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not ended.is_set():
                statuses.append(client.get(path).status_code)

    with ThreadPoolExecutor(number) as pool:
        for _ in range(number):
            pool.submit(go_on)
        try:
            yield statuses
        finally:
            ended.set()


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Makes looks at the database hang while it is set."""
    hangs, goes_on = threading.Event(), threading.Event()
    require = revisions.require

    def look(engine: sa.Engine) -> Any:
        if hangs.is_set():
            goes_on.wait(60)
        return require(engine)

    monkeypatch.setattr(revisions, "require", look)
    yield hangs
    goes_on.set()


def test_the_first_probe_gets_a_fresh_result(serve: Serve) -> None:
    assert status(serve()) == 200


@pytest.mark.parametrize(
    "damage", [None, "DELETE FROM alembic_version", "DROP TABLE alembic_version"]
)
def test_a_schema_behind_the_code_is_not_ready(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, damage: str | None
) -> None:
    server = serve()
    if damage:
        server.execute(sa.text(damage))
    else:
        # As if this code had one migration more than the database has seen.
        known = revisions.graph(MIGRATIONS)
        newest = {"9999": frozenset({last("users")})}
        monkeypatch.setattr(revisions, "graph", lambda _: known | newest)
    until(lambda: status(server) == 503)
    with server.client() as client:
        answer = client.get("/health/ready")
        assert answer.json()["code"] == "unavailable"
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) >= 1
        assert client.get("/health/live").status_code == 200


def test_a_schema_newer_than_the_code_is_ready(serve: Serve) -> None:
    server = serve()
    server.execute(sa.text(NEWER))
    time.sleep(health.INTERVAL_SECONDS * 1.5)  # it has been seen
    assert httpx.get(f"{server.url}/health/ready").json()["status"] == "ok"


def test_without_its_database_a_server_is_alive_but_not_ready(serve: Serve, tmp_path: Path) -> None:
    server = serve(database_url=f"sqlite:///{tmp_path}/byline.db")
    assert status(server) == 200
    for file in tmp_path.glob("byline.db*"):
        file.rename(tmp_path / f"away-{file.name}")
    until(lambda: status(server) == 503)
    assert httpx.get(f"{server.url}/health/live").status_code == 200
    for file in tmp_path.glob("away-*"):
        file.rename(tmp_path / file.name.removeprefix("away-"))
    until(lambda: status(server) == 200)


def test_readiness_notices_when_the_database_goes_and_returns(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    with cluster() as own:
        server = serve(database_url=own.create("byline"))
        assert status(server) == 200
        own.stop()
        gone = time.monotonic()
        until(lambda: status(server) == 503)
        assert time.monotonic() - gone < 10  # 1 s where nothing else runs
        time.sleep(3 * health.INTERVAL_SECONDS)
        assert len([m for m in caplog.messages if m.startswith("database: ")]) == 1
        own.start()
        until(lambda: status(server) == 200)
        own.freeze()
        frozen = time.monotonic()
        until(lambda: status(server) == 503)
        assert time.monotonic() - frozen < 10
        own.thaw()
        until(lambda: status(server) == 200)


def test_readiness_treats_an_old_result_as_a_failure(serve: Serve, stuck: threading.Event) -> None:
    server = serve()
    stuck.set()
    until(lambda: status(server) == 503)
    with asking(server, "/health/ready") as statuses:
        until(lambda: len(statuses) > 200)  # none of which waits for the look
    assert set(statuses) == {503}
    with server.client() as client:
        assert client.get("/api/users").status_code == 200
        with server.flask.app_context():
            assert db.connections_in_use() == 0  # the connection that hangs is no request's


@pytest.mark.parametrize("path", ["/health/ready", "/health/live", "/metrics"])
def test_many_concurrent_probes_all_succeed(serve: Serve, path: str) -> None:
    server = serve()
    with asking(server, path) as statuses:
        until(lambda: len(statuses) > 100)
        assert [status(server) for _ in range(20)] == [200] * 20
    assert set(statuses) == {200}


def test_a_server_is_ready_while_no_thread_is_free(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ("MAX_REQUESTS_IN_FLIGHT", "MAX_HASHES_IN_FLIGHT", "MAX_SCRAPES_IN_FLIGHT"):
        module = assemble if hasattr(assemble, room) else application
        monkeypatch.setattr(module, room, 0)
    server = serve()
    assert httpx.get(f"{server.url}/api/users").status_code == 503
    assert httpx.get(f"{server.url}/metrics").status_code == 503
    assert status(server) == 200
    assert httpx.get(f"{server.url}/health/live").status_code == 200


def test_the_database_is_asked_once_a_second_however_many_ask(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    require = revisions.require

    server = serve()

    def look(engine: sa.Engine) -> Any:
        if str(engine.url.database) in server.settings.database_url:  # others have servers too
            looks.append(time.monotonic())
        return require(engine)

    monkeypatch.setattr(revisions, "require", look)
    with asking(server, "/health/ready") as statuses:
        until(lambda: len(looks) > 2)
        assert len(statuses) > len(looks)
    between = [later - earlier for earlier, later in pairwise(looks)]
    assert min(between) > 0.9 * health.INTERVAL_SECONDS


def test_a_server_that_shuts_down_stops_checking(serve: Serve) -> None:
    server = serve()
    assert status(server) == 200
    thread = server.flask.extensions["readiness"]._thread
    assert thread.is_alive()
    server.flask.extensions["readiness"].stop()
    assert not thread.is_alive()
