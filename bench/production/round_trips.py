"""Counts round trips between a server and what it asks, by passing on what they say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK = 1 << 16


class Relay:
    """Listens on `port` and connects each client to another port.

    `round_trips` is how often a client has spoken after its server had, or first.
    """

    def __init__(self, target: int) -> None:
        self.round_trips = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener has been closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                link = _Link()
                for source, sink, by_client in ((client, server, True), (server, client, False)):
                    threading.Thread(
                        target=self._pass_on, args=(source, sink, link, by_client), daemon=True
                    ).start()

    def _pass_on(
        self, source: socket.socket, sink: socket.socket, link: _Link, by_client: bool
    ) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                if by_client and not link.client_spoke_last:
                    self.round_trips += 1
                link.client_spoke_last = by_client
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


class _Link:
    client_spoke_last = False


@contextmanager
def relay(target: int) -> Iterator[Relay]:
    own = Relay(target)
    try:
        yield own
    finally:
        own.close()
