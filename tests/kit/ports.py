"""Ports of this machine for servers of the tests' own."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

PORTS = range(20_000, 32_000)  # Linux and macOS give outgoing connections higher ones


def free_port() -> int:
    """A port that nobody else is given, in this process or another, until this process ends.

    The UDP port of the same number stays bound as long: none of the servers uses it.
    """
    while True:
        port = secrets.choice(PORTS)
        claim, free = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
        with claim, free, suppress(OSError):
            claim.bind(("127.0.0.1", port))
            free.bind(("127.0.0.1", port))
            claim.detach()  # open without an owner
            return port


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
