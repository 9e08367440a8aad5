"""Runs uvicorn as if started by hand, with another address than the one in the settings."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from service.application import create_app
from service.engine.serve.server import UVICORN
from service.settings import Settings
from tests.kit.smtp import until


@contextmanager
def listening(settings: dict[str, Any], **where: Any) -> Iterator[int]:
    """Serves where uvicorn is told to, such as `host="0.0.0.0"` or `uds=path`; the port."""
    app = create_app(Settings(_env_file=None, **settings))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", **where, **UVICORN))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        address = server.servers[0].sockets[0].getsockname()
        yield address[1] if isinstance(address, tuple) else 0
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def on_unix_socket(path: Path, settings: dict[str, Any]) -> Iterator[httpx.Client]:
    """A client of a server on a Unix socket."""
    transport = httpx.HTTPTransport(uds=str(path))
    client = httpx.Client(transport=transport, base_url="http://localhost", timeout=60)
    with listening(settings, uds=str(path)), client:
        yield client
