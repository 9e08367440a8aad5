"""Clients that close their sending side after a request, and then read the answer."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from tests.kit import raw
from tests.kit.exports import in_flight, request, rest, wait_until
from tests.kit.planning import EXPORT, Owner, Planner, give_projects

LIVE = raw.get("/health/live")
PROJECTS = raw.get("/projects")
BODY = b'{"name": "somebody who reads on, and writes no more"}'
NEWCOMER = raw.post(BODY, target="/tokens")
UNKNOWN = raw.get("/unknown")
SOON = 5  # seconds, less than any time limit for a head or a body
MORE = getattr(socket, "MSG_MORE", 0)  # Linux: wait for what comes next


def half_closed(server: Planner, *segments: bytes) -> list[raw.Answer]:
    """The answers to what is sent before the client closes its side."""
    with raw.connected(server.url) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        for number, segment in enumerate(segments, 1):
            # The end goes with the last one, so that it is known before any answer to it is made.
            connection.sendall(segment, MORE if number == len(segments) else 0)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as incoming:
            return list(raw.answers(incoming))


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        ([LIVE], [200]),
        ([PROJECTS], [200]),
        ([NEWCOMER], [201]),
        ([UNKNOWN], [404]),
        ([PROJECTS + LIVE], [200, 200]),
        ([NEWCOMER + UNKNOWN + LIVE], [201, 404, 200]),
        ([NEWCOMER, UNKNOWN, LIVE], [201, 404, 200]),
        ([PROJECTS * 200], [200] * 200),
        ([NEWCOMER[:-5], NEWCOMER[-5:]], [201]),
    ],
    ids=lambda given: None if isinstance(given[0], int) else f"{len(b''.join(given))} bytes",
)
def test_a_half_closed_client_gets_all_answers_and_a_closed_connection(
    sent: list[bytes], statuses: list[int], server: Planner
) -> None:
    began = time.monotonic()
    assert [answer.status for answer in half_closed(server, *sent)] == statuses
    assert time.monotonic() - began < SOON + len(statuses)


@pytest.mark.parametrize(
    "rest_of_it",
    [LIVE[:-2], b"GET", NEWCOMER[:-1], NEWCOMER[: -len(BODY)], b"no HTTP at all\r\n\r\n"],
    ids=["head", "method", "body", "no body", "no HTTP"],
)
@pytest.mark.parametrize("before", [NEWCOMER, PROJECTS + NEWCOMER], ids=["one", "two"])
def test_a_half_closed_client_with_an_incomplete_request_is_disconnected(
    before: bytes, rest_of_it: bytes, server: Planner
) -> None:
    began = time.monotonic()
    statuses = [answer.status for answer in half_closed(server, before + rest_of_it)]
    assert statuses == [200, 201][-before.count(b"HTTP/1.1") :]
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize("sent", [b"", LIVE[:-2], NEWCOMER[:-1], NEWCOMER[: -len(BODY)]])
def test_a_half_closed_connection_without_a_request_is_closed_at_once(
    sent: bytes, server: Planner
) -> None:
    began = time.monotonic()
    assert half_closed(server, sent) == []
    assert time.monotonic() - began < SOON


def test_an_idle_connection_is_closed_at_once(server: Planner) -> None:
    with raw.connected(server.url) as connection:
        connection.sendall(LIVE)
        received = connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 200 ")
        began = time.monotonic()
        connection.shutdown(socket.SHUT_WR)
        assert rest(connection) == b""
        assert time.monotonic() - began < SOON


def test_the_last_answer_says_connection_close(server: Planner) -> None:
    first, last = half_closed(server, NEWCOMER + NEWCOMER)
    assert "connection" not in first.headers
    assert last.headers["connection"] == "close"


def test_a_stream_is_sent_to_its_end(server: Planner, anna: Owner) -> None:
    give_projects(anna, ["x" * 100_000] * 30)
    [answer] = half_closed(server, request(anna.http, target=EXPORT))
    assert answer.body.count(b'{"type":"project"') == 30


@pytest.mark.parametrize("target", [EXPORT, "GET /projects?limit=100"])
def test_a_client_that_disconnects_is_noticed(target: str, server: Planner, anna: Owner) -> None:
    """It looks like one that reads on, until something is sent."""
    give_projects(anna, ["x" * 100_000] * 60)
    for _ in range(5):
        with raw.connected(server.url) as connection:
            connection.sendall(request(anna.http, target=target) * 3)
    wait_until(lambda: in_flight(server.url) == 0, "it is answered on and on")


def test_a_client_that_reads_nothing_is_bounded_too(
    server: Planner, anna: Owner, monkeypatch: Any
) -> None:
    monkeypatch.setattr("service.engine.serve.unsent.READ_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr("service.engine.serve.unsent.CHECK_INTERVAL_SECONDS", 0.1)
    give_projects(anna, ["x" * 100_000] * 100)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        host, port = server.url.removeprefix("http://").split(":")
        connection.connect((host, int(port)))
        connection.sendall(request(anna.http, target=EXPORT))
        connection.shutdown(socket.SHUT_WR)
        wait_until(lambda: in_flight(server.url) == 0, "it is waited for")
