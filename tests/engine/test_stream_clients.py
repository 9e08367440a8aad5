"""Clients that do not read a stream, or disconnect, cost no more than a connection for a while."""

from __future__ import annotations

import logging
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.engine.database.transaction import db
from service.engine.serve import protocol, unsent
from service.engine.serve.server import UVICORN
from service.engine.spec.paging import ITEMS_PER_PART
from tests.kit.exports import (
    borrowed,
    connected,
    in_flight,
    lines,
    request,
    rest,
    wait_until,
)
from tests.kit.planning import EXPORT, Owner, Planner, give_projects, planning

SMALL = 4096  # bytes of a receive buffer
BIG = ["x" * 100_000] * 100  # more than all buffers between here and there will take


@pytest.fixture(scope="module")
def small(server: Planner, tmp_path_factory: Any) -> Iterator[Planner]:
    """A server with two threads, on the database of the shared one."""
    url, folder = server.settings.database_url, tmp_path_factory.mktemp("small")
    with planning(folder, database_url=url, worker_threads=2) as running:
        yield running


@pytest.fixture
def author(small: Planner) -> Owner:
    """A user with ten megabytes of projects."""
    person = small.sign_up()
    give_projects(person, BIG)
    return person


def idle(server: Planner) -> bool:
    return in_flight(server.url) == borrowed(server) == 0


def test_clients_that_do_not_read_hold_no_thread_and_no_connection(
    small: Planner, author: Owner
) -> None:
    with ExitStack() as stack:
        slow = [
            stack.enter_context(connected(small.url, request(author.http, target=EXPORT), SMALL))
            for _ in range(30)
        ]
        heads = [connection.recv(100) for connection in slow]
        assert all(head.startswith(b"HTTP/1.1 200 ") for head in heads)
        wait_until(lambda: (in_flight(small.url), borrowed(small)) == (30, 0), "they are not idle")
        for _ in range(5):
            assert httpx.get(f"{small.url}/health/live").status_code == 200
            assert author.http.get("/me").status_code == 200
            assert author.http.get("/health/ready").status_code == 200
        others = small.sign_up()
        others.project()
        assert len(lines(others.http.get("/export").content)) == 1
        # Nobody was cut off: who reads on is given the rest.
        wait_until(lambda: (in_flight(small.url), borrowed(small)) == (30, 0), "they are not idle")
        received = bytearray(heads[0])
        while not received.endswith(b"\r\n0\r\n\r\n"):
            more = slow[0].recv(1 << 20)
            assert more
            received += more
        assert received.count(b'{"type":"project"') == len(BIG)
    wait_until(lambda: idle(small), "something still goes on")


def test_of_an_answer_that_is_not_read_one_page_is_held(small: Planner, author: Owner) -> None:
    page = ITEMS_PER_PART * len(BIG[0])
    tracemalloc.start()
    try:
        with ExitStack() as stack:
            for _ in range(10):
                client = stack.enter_context(
                    connected(small.url, request(author.http, target=EXPORT), SMALL)
                )
                assert client.recv(100)
            wait_until(lambda: tracemalloc.get_traced_memory()[0] < 15 * page, "more is held")
            assert in_flight(small.url) == 10
    finally:
        tracemalloc.stop()
    wait_until(lambda: idle(small), "something still goes on")


def resources(server: Planner) -> tuple[int, int]:
    """Threads and file descriptors, those of idle database connections left aside."""
    with server.flask.app_context():
        db.engine.dispose()
    return threading.active_count(), len(list(Path("/dev/fd").iterdir()))


def test_five_hundred_disconnected_clients_leave_nothing_behind(
    small: Planner, author: Owner
) -> None:
    def abort(number: int) -> None:
        with connected(small.url, request(author.http, target=EXPORT), SMALL) as connection:
            if number % 3:  # the others are gone before anything comes
                assert connection.recv(number * 50)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(abort, range(16)))  # the server's own threads start with the first
        wait_until(lambda: idle(small), "something still goes on")
        before = resources(small)
        list(threads.map(abort, range(500)))
    wait_until(lambda: idle(small), "something still goes on")
    # The eight threads here have ended since.
    wait_until(lambda: resources(small) <= before, f"{resources(small)} and not {before}")
    assert len(lines(author.http.get("/export").content)) == len(BIG)


@pytest.mark.parametrize("then", ["", "GET /health/live", EXPORT])
def test_a_disconnected_client_causes_no_further_work_and_no_log_line(
    then: str, small: Planner, author: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.addHandler(caplog.handler)
    try:
        for at_once in (True, False):
            later = request(author.http, target=then) if then else b""
            first = request(author.http, target=EXPORT)
            with connected(small.url, first + later if at_once else first, SMALL) as connection:
                assert connection.recv(100)
                if not at_once:
                    connection.sendall(later)
                wait_until(lambda: borrowed(small) == 0, "it reads on and on")
        wait_until(lambda: idle(small), "something still goes on")
    finally:
        uvicorn.removeHandler(caplog.handler)
    assert [record.getMessage() for record in caplog.records if record.levelno > 20] == []


@pytest.mark.parametrize("target", [EXPORT, "GET /projects?limit=100"])
@pytest.mark.parametrize("header", ["Connection: keep-alive", "Connection: close"])
def test_a_client_that_stops_reading_is_disconnected(
    target: str, header: str, small: Planner, author: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsent, "READ_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(unsent, "CHECK_INTERVAL_SECONDS", 0.1)
    monkeypatch.setattr(protocol, "DROP_TIMEOUT_SECONDS", 0.2)
    lose, lost = protocol.Protocol.connection_lost, set()

    def lose_and_tell(self: Any, error: Exception | None) -> None:
        lost.add(self.client)
        lose(self, error)

    monkeypatch.setattr(protocol.Protocol, "connection_lost", lose_and_tell)
    # Several, for the kernel takes one page whole.
    requests = request(author.http, header, target=target) * 8
    with connected(small.url, requests, SMALL) as connection:
        assert connection.recv(100)
        wait_until(lambda: connection.getsockname() in lost, "it is waited for")
        wait_until(lambda: idle(small), "something still goes on")
        assert len(rest(connection)) < len("".join(BIG))


# What is still to be sent is left to the end of the process, with a warning as uvloop gives it.
@pytest.mark.filterwarnings("ignore:unclosed resource <TCPTransport:ResourceWarning")
def test_a_server_that_shuts_down_does_not_wait_for_stuck_streams(
    server: Planner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(UVICORN, "timeout_graceful_shutdown", 1)
    with ExitStack() as stack:
        with planning(tmp_path, database_url=server.settings.database_url) as ending:
            author = ending.sign_up()
            give_projects(author, BIG)
            slow = [
                connected(ending.url, request(author.http, target=EXPORT), SMALL) for _ in range(3)
            ]
            connections = [stack.enter_context(connection) for connection in slow]
            assert all(connection.recv(100) for connection in connections)
        for connection in connections:
            assert len(rest(connection)) < len("".join(BIG))
