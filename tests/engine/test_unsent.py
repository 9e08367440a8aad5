"""Clients that do not read their answers: the unsent bytes are limited, and other clients are not
delayed."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from service.engine.serve import unsent
from tests.kit import exports, raw
from tests.kit.planning import Planner, give_projects
from tests.kit.smtp import until

ROOM = 4096  # bytes that the kernel keeps for a client that does not read
REQUESTS = 8  # whose answers, a megabyte each, are more than the kernel keeps for a server


@pytest.fixture
def server(serve: Callable[..., Planner]) -> Planner:
    """A server whose page of projects is as large as a page may be."""
    running = serve()
    give_projects(running.sign_up(), ["茶" * 20_000] * 100)
    return running


def reading(server: Planner, name: str) -> float:
    """A metric without labels."""
    with server.client() as http:
        lines = http.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def unsent_bytes(server: Planner) -> float:
    """What waits for one client that does not read, as soon as the kernel takes no more of it."""
    sizes = [0.0]

    def is_steady() -> bool:
        sizes.append(reading(server, "planner_unsent_bytes"))
        return sizes[-1] == sizes[-20:][0] > 0

    until(is_steady)
    return sizes[-1]


def page(server: Planner) -> bytes:
    with server.client() as http:
        answer = http.get("/projects?limit=100")
    assert answer.status_code == 200
    return answer.content


def not_reading(server: Planner, stack: ExitStack, number: int) -> list[Any]:
    data = raw.get("/projects?limit=100") * REQUESTS
    return [stack.enter_context(exports.connected(server.url, data, ROOM)) for _ in range(number)]


def rest(connection: socket.socket) -> bytes:
    """What a client reads that begins to read at last."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
    return exports.rest(connection)


def test_stuck_connections_are_closed_and_other_clients_are_answered(
    server: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = page(server)
    with ExitStack() as stack:
        not_reading(server, stack, 1)
        most = 3 * unsent_bytes(server)
        monkeypatch.setattr(unsent, "MAX_UNSENT_BYTES_PER_CLIENT", most)
        not_reading(server, stack, 12)
        until(lambda: reading(server, "planner_unread_connections_closed_total") > 0)
        assert page(server) == whole
        until(lambda: reading(server, "planner_unsent_bytes") <= most)
        assert page(server) == whole


def test_connections_of_the_client_with_the_most_unread_bytes_close_first(
    serve: Callable[..., Planner], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(trusted_proxies="127.0.0.1")
    give_projects(server.sign_up(), ["茶" * 20_000] * 100)
    whole = page(server)

    def asking(stack: ExitStack, client: str) -> socket.socket:
        forwarded = f"X-Forwarded-For: {client}"
        data = raw.get("/projects?limit=100", forwarded) * (REQUESTS - 1)
        data += raw.get("/projects?limit=100", forwarded, "Connection: close")
        return stack.enter_context(exports.connected(server.url, data, ROOM))

    with ExitStack() as stack:
        other = asking(stack, "198.51.100.7")
        monkeypatch.setattr(unsent, "MAX_UNSENT_BYTES_PER_CLIENT", 2 * unsent_bytes(server))
        for _ in range(8):
            asking(stack, "203.0.113.9")
        until(lambda: reading(server, "planner_unread_connections_closed_total") >= 4)
        assert rest(other).endswith(whole[-1000:])


def test_a_pipelined_request_waits_until_earlier_answers_are_read(server: Planner) -> None:
    whole = page(server)
    with ExitStack() as stack:
        [connection] = not_reading(server, stack, 1)
        connection.recv(1)
        until(lambda: reading(server, "planner_unsent_bytes") > 0)
        assert page(server) == whole  # behind which all that goes by itself has gone
        assert reading(server, "planner_unsent_bytes") < 2 * len(whole)
        connection.sendall(raw.get("/health/live", "Connection: close"))
        answered = rest(connection)
    assert answered.count(whole) == REQUESTS
    assert answered.endswith(b'{"status":"ok"}')


def test_requests_that_come_all_at_once_are_not_all_kept(server: Planner) -> None:
    """They are read one after the other, however many have come."""
    number = 3000
    data = raw.get("/health/live") * number + raw.get("/health/live", "Connection: close")
    with raw.connected(server.url) as connection:
        connection.sendall(data)
        with connection.makefile("rb") as incoming:
            statuses = [answer.status for answer in raw.answers(incoming)]
    assert statuses == [200] * (number + 1)
