"""The cost of an idle connection."""

from __future__ import annotations

import gc
import socket
import tracemalloc
from contextlib import ExitStack

import pytest

from tests.kit import raw
from tests.kit.serving import Server

NUMBER = 200
MOST = 4.5 * 1024  # bytes, of which uvloop and httptools take half


def used(server: Server, times: int) -> socket.socket:
    """A connection on which so many requests were answered."""
    connection = raw.connected(server.url)
    for _ in range(times):
        connection.sendall(raw.get("/api/users"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    return connection


def taken(server: Server, times: int) -> float:
    """Bytes for each of many such connections, and for what else this process begins meanwhile."""
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(used(server, 1))
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(NUMBER):
                stack.enter_context(used(server, times))
            used(server, 1).close()  # behind which the server has taken all of them
            gc.collect()
            return tracemalloc.get_traced_memory()[0] / NUMBER
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("times", [0, 1, 3])
def test_an_idle_connection_takes_a_few_kilobytes(times: int, server: Server) -> None:
    measured = [taken(server, times)]
    while measured[-1] > MOST and len(measured) < 3:  # other work can only add to it
        measured.append(taken(server, times))
    assert min(measured) < MOST
