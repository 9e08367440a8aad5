"""Clients that read slowly, or disconnect in the middle."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.kit.processes import PATIENCE, Account, Byline

LARGE = 100_000  # characters, the maximum of a post


def fill(byline: Byline, account: Account, posts: int = 80) -> None:
    """Give a user so many posts that their export does not fit into the buffers of a connection."""
    for number in range(posts):
        body = {"title": f"Long {number}", "content": "x " * (LARGE // 2 - 1) + "."}
        answer = byline.request("POST", "/api/posts", json=body, headers=account.bearer)
        assert answer.status_code == 201


@contextmanager
def export(byline: Byline, account: Account) -> Iterator[socket.socket]:
    """A connection on which a user's export was requested and nothing read yet."""
    lines = ["GET /auth/export HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in account.bearer.items()]
    with visit(byline, "\r\n".join([*lines, "", ""]).encode()) as connection:
        yield connection


@contextmanager
def visit(byline: Byline, sent: bytes) -> Iterator[socket.socket]:
    """A connection with a small receive buffer, on which `sent` has been sent."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", byline.port))
        connection.sendall(sent)
        yield connection
