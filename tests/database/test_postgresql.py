"""A PostgreSQL that restarts, ends connections or stops answering under a running server."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.engine.database import postgresql
from service.engine.database.transaction import db
from service.engine.work import greenlets
from service.engine.work import retrying as transactions
from service.engine.work.sockets import Socket
from tests.kit.middlebox import Fault, Middlebox, by_way_of
from tests.kit.postgres_cluster import Cluster, cluster
from tests.kit.serving import Server, serving
from tests.kit.smtp import until


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture(scope="module")
def server(own: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("byline"), database_url=own.create("byline")) as running:
        yield running


def hold(server: Server, may_go_on: threading.Event) -> None:
    """Have the event loop of the server stand still from now on, and then run its timers before it
    looks at any socket."""
    is_held = threading.Event()
    here, there = socket.socketpair()
    loop = server.flask.extensions["limits"]._store._loop

    def stand_still() -> None:
        loop.remove_reader(here)
        is_held.set()
        may_go_on.wait()
        here.close()

    there.send(b"x")
    loop.call_soon_threadsafe(loop.add_reader, here, stand_still)
    is_held.wait()
    there.close()


def test_a_connection_that_is_lost_in_a_thread_is_logged_as_no_fault(
    server: Server, own: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    with server.flask.app_context(), db.transaction() as transaction:
        [pid] = transaction.execute("SELECT pg_backend_pid()", ()).fetchone()
        own.execute(f"SELECT pg_terminate_backend({pid})")
        until(lambda: own.execute(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}") == [])
    assert [record.message for record in caplog.records if record.exc_info] == []
    assert server.client().get("/api/users").status_code == 200


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_after_a_restart_of_the_database_no_request_fails(
    server: Server, own: Cluster, mode: str
) -> None:
    anna = server.sign_up()
    with ThreadPoolExecutor(8) as threads:
        posts = [f"Before {mode} {number}" for number in range(24)]
        list(threads.map(anna.post, posts))  # many connections are open
    own.restart(mode)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(anna.post, [f"After {title}" for title in posts]))


def test_a_change_is_retried_if_its_connection_ends_before_the_commit(
    server: Server, own: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "RECONNECT_WITHIN_SECONDS", 60)
    anna = server.sign_up()
    post = anna.post()
    waiting = "FROM pg_stat_activity WHERE datname = 'byline' AND wait_event_type = 'Lock'"
    with psycopg.connect(own.url("byline")) as other, ThreadPoolExecutor(1) as threads:
        other.execute("SELECT FROM posts WHERE id = %s FOR UPDATE", [post["id"]])
        changing = threads.submit(
            anna.http.patch,
            f"/api/posts/{post['id']}",
            json={"title": "Changed once"},
            headers={"If-Match": "*"},
        )
        until(lambda: own.execute(f"SELECT count(*) {waiting}") == [(1,)])
        assert own.execute(f"SELECT pg_terminate_backend(pid) {waiting}") == [(True,)]
        other.rollback()
        answer = changing.result()
    assert answer.status_code == 200, answer.text
    assert own.execute(f"SELECT version FROM posts WHERE id = '{post['id']}'", "byline") == [(2,)]


def test_a_read_succeeds_although_its_connection_is_ended_and_reset_at_the_same_moment(
    own: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "RECONNECT_WITHIN_SECONDS", 60)
    may_go_on = threading.Event()

    class Box(Middlebox):
        """The event loop of the server sees what a fault does when all of it is done."""

        def take_fault(self, data: bytes) -> Fault | None:
            fault = super().take_fault(data)
            if fault:
                may_go_on.clear()
                hold(server, may_go_on)
            return fault

        def end(self, pair: Any) -> None:
            super().end(pair)
            may_go_on.set()

    with (
        Box(own.port) as box,
        serving(tmp_path, database_url=by_way_of(box, own.create("ended"))) as server,
    ):
        anna = server.sign_up()
        post = anna.post()
        box.fault = Fault(b"FROM posts", "farewell")
        assert anna.http.get(f"/api/posts/{post['id']}").json() == post
        assert box.fault is None


def test_a_request_whose_lost_connection_is_still_open_at_the_database_is_a_503_and_not_in_flight(
    own: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "RECONNECT_WITHIN_SECONDS", 60)
    url = own.create("abandoned")
    waiting = "FROM pg_stat_activity WHERE datname = 'abandoned' AND wait_event_type = 'Lock'"
    with (
        Middlebox(own.port) as box,
        serving(tmp_path, database_url=by_way_of(box, url)) as server,
        psycopg.connect(url) as other,
        ThreadPoolExecutor(1) as threads,
    ):
        anna = server.sign_up()
        once = partial(
            anna.http.post,
            "/api/posts",
            json={"title": "Once", "content": "Sent again with its key."},
            headers={"Idempotency-Key": "abandoned"},
        )
        other.execute("LOCK idempotency_keys")
        sending = threads.submit(once)
        until(lambda: own.execute(f"SELECT count(*) {waiting}") == [(1,)])
        box.abandon()
        answer = sending.result()
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        other.rollback()
        box.cut()  # the database notices
        until(lambda: once().status_code == 201)
        assert [post["title"] for post in anna.http.get("/api/posts").json()] == ["Once"]


def test_a_read_that_has_waited_for_a_migration_is_made_again(
    own: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "RECONNECT_WITHIN_SECONDS", 0)
    url = own.create("migrated")
    waiting = "FROM pg_stat_activity WHERE datname = 'migrated' AND wait_event_type = 'Lock'"
    with (
        serving(tmp_path, database_url=url) as server,
        psycopg.connect(url) as other,
        ThreadPoolExecutor(1) as threads,
    ):
        anna = server.sign_up()
        path = f"/api/posts/{anna.post()['id']}"
        before = anna.http.get(path).json()
        other.execute("ALTER TABLE posts ALTER version TYPE bigint")
        reading = threads.submit(anna.http.get, path)
        until(lambda: own.execute(f"SELECT count(*) {waiting}") == [(1,)])
        other.commit()
        assert reading.result().json() == before


def test_a_database_that_does_not_answer_is_a_503_within_seconds(
    server: Server, own: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql.Connection, "patience", 0.5)
    anna = server.sign_up()
    own.freeze()
    try:
        with server.client() as client:
            refused = client.get("/api/posts")
            assert client.get("/health/live").status_code == 200
            until(lambda: client.get("/health/ready").status_code == 503)
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        assert anna.http.get("/auth/me").status_code == 503
    finally:
        own.thaw()
    assert anna.post("It answers again")["title"] == "It answers again"


def test_an_answer_is_taken_that_came_while_the_server_stood_still(
    server: Server, own: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = server.sign_up()
    path, may_go_on = f"/api/posts/{anna.post()['id']}", threading.Event()
    waiting = "FROM pg_stat_activity WHERE datname = 'byline' AND wait_event_type = 'Lock'"
    monkeypatch.setattr(postgresql.Connection, "patience", 1.0)
    with psycopg.connect(own.url("byline")) as other, ThreadPoolExecutor(1) as threads:
        other.execute("LOCK posts")
        reading = threads.submit(anna.http.get, path)
        until(lambda: own.execute(f"SELECT count(*) {waiting}") == [(1,)])
        hold(server, may_go_on)
        over = time.monotonic() + postgresql.Connection.patience
        other.rollback()
        until(lambda: own.execute(f"SELECT count(*) {waiting}") == [(0,)])
        until(lambda: time.monotonic() > over)
        may_go_on.set()
        assert reading.result().status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "round_trips"),
    [
        ("GET", "/api/posts/{post}", None, 1),
        ("GET", "/api/posts", None, 1),
        ("GET", "/auth/me", None, 1),
        ("POST", "/api/posts", {"title": "Once", "content": "Twice"}, 2),
    ],
)
def test_an_ordinary_request_takes_few_round_trips(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    body: Any,
    round_trips: int,
) -> None:
    anna = server.sign_up()
    path = path.format(post=anna.post()["id"])
    waits = []
    wait = postgresql.Connection.wait

    def recorded(self: postgresql.Connection, *arguments: Any) -> Any:
        if greenlets.is_here():  # the outbox and the readiness check wait in threads
            waits.append(self)
        return wait(self, *arguments)

    for _ in range(2):  # at first, a connection prepares its statements
        waits.clear()
        monkeypatch.setattr(postgresql.Connection, "wait", recorded)
        anna.http.request(method, path, json=body).raise_for_status()
        monkeypatch.undo()
    assert len(waits) == round_trips


def test_only_the_event_loop_takes_a_connection_off_the_event_loop(
    own: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close, closed_in_threads = Socket.close, []

    def noted(self: Socket) -> None:
        if self._loop is not None and asyncio._get_running_loop() is not self._loop:
            closed_in_threads.append(threading.current_thread().name)
        close(self)

    monkeypatch.setattr(Socket, "close", noted)
    url = own.create("surplus")
    waiting = "FROM pg_stat_activity WHERE datname = 'surplus' AND wait_event_type = 'Lock'"
    with (
        serving(tmp_path, database_url=url, worker_threads=4) as server,
        psycopg.connect(url) as other,
        ThreadPoolExecutor() as threads,
    ):
        other.execute("LOCK posts")
        with server.client() as client:
            reads = [threads.submit(client.get, "/api/posts") for _ in range(4)]
            until(lambda: own.execute(f"SELECT count(*) {waiting}") == [(4,)])
            other.rollback()
            assert [read.result().status_code for read in reads] == [200] * 4
        with server.flask.app_context():
            db.engine.raw_connection().invalidate()
    assert closed_in_threads == []


def test_a_command_that_never_ends_is_given_up(own: Cluster) -> None:
    connection = postgresql.Connection.connect(own.url(), autocommit=True)
    connection.patience = 0.2
    with pytest.raises(postgresql.NoAnswer), connection:
        connection.execute("SELECT pg_sleep(60)")
    assert connection.closed
