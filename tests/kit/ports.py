"""Ports of this machine for servers that tests start."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

PORTS = range(20_000, 32_000)  # Linux and macOS use higher ones for outgoing connections


def free_port() -> int:
    """A port that no other call returns, in this process or another, until this process ends.

    The UDP port of the same number stays bound until then; the servers use TCP only.
    """
    while True:
        port = secrets.choice(PORTS)
        claim, free = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
        with claim, free, suppress(OSError):
            claim.bind(("127.0.0.1", port))
            free.bind(("127.0.0.1", port))
            claim.detach()  # stays open until the process ends
            return port


def listens(port: int) -> bool:
    """Whether a server accepts connections on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
