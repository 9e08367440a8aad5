"""Many connections that are idle or in the middle of a request do not slow down the others."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit import raw
from tests.kit.load import complaint
from tests.kit.processes import Byline, Place, sign_up

IDLE, HEADS, BODIES = 10_000, 1000, 1000
# MiB: 4 KiB for a connection, of which uvloop and the parser take half, and 16 more for a request.
MOST = ((IDLE + HEADS + BODIES) * 4 + BODIES * 16) // 1024
PATIENCE = 60  # seconds
HEAD = raw.post(None, "Content-Length: 9", target="/auth/login")


@pytest.mark.usefixtures("descriptors")
def test_many_connections_in_each_state_cost_little(tmp_path: Path, report: Any) -> None:
    report("10 000 idle, 1000 half heads, 1000 half bodies")
    with Place(tmp_path).serving() as byline:
        account = sign_up(byline.url)
        before = byline.held["MiB"]
        with ExitStack() as stack:
            for number in range(IDLE):
                connection = stack.enter_context(connected(byline, number))
                connection.sendall(raw.get("/health/live"))
                assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
            idle = byline.held["MiB"] - before
            for sent, count in ((HEAD[:-20], HEADS), (HEAD + b"{", BODIES)):
                for number in range(count):
                    stack.enter_context(connected(byline, number)).sendall(sent)
            longest = 0.0
            begun = time.monotonic()
            while time.monotonic() < begun + 5:
                answer = byline.get("/health/live")
                assert complaint(answer, {200}) is None
                longest = max(longest, answer.elapsed.total_seconds())
                more = byline.held["MiB"] - before
            honest = byline.get("/auth/me", headers=account.bearer)
            report(longest=f"{longest:.2f}", more=f"{idle} MiB idle, {more} MiB in all")
        assert complaint(honest, {200}) is None
        assert longest < 1
        assert more <= MOST


@contextmanager
def connected(byline: Byline, number: int, room: int = 0) -> Iterator[socket.socket]:
    """A connection from one of ten addresses, so that there are ports enough, with a receive buffer
    of `room` bytes."""
    with socket.socket() as connection:
        if room:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        connection.settimeout(PATIENCE)
        connection.bind((f"127.0.0.{2 + number % 10}", 0))
        connection.connect(("127.0.0.1", byline.port))
        yield connection
