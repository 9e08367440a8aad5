"""Something between a service and what it is connected to: it forgets, delays, refuses and cuts.

with Middlebox(server.port) as box:
    url = f"postgresql://postgres@127.0.0.1:{box.port}/byline"
    box.forgets_after = 1.0     # seconds without a byte, then everything is dropped in silence
    box.delay = 0.2             # seconds for whatever comes by
    box.refuses = True          # new connections are reset
    box.cut()                   # so are those that there are
    box.cuts_at = b"COMMIT"     # passes it on, and resets the connection before the answer
"""

from __future__ import annotations

import math
import socket
import struct
import threading
import time
from contextlib import suppress

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a RST


class Middlebox:
    """A TCP proxy on a port of 127.0.0.1, before another port there."""

    def __init__(self, upstream: int) -> None:
        self.forgets_after = math.inf
        self.delay = 0.0
        self.refuses = False
        self.cuts_at: bytes | None = None
        self.forgotten = 0  # connections
        self.were_cut = 0
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port: int = self._listener.getsockname()[1]
        self._pairs: set[_Pair] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Middlebox:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    @property
    def connections(self) -> int:
        return len(self._pairs)

    def cut(self) -> None:
        """Reset every connection."""
        for pair in list(self._pairs):
            self.end(pair)

    def end(self, pair: _Pair) -> None:
        self._pairs.discard(pair)
        pair.reset()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self.refuses:
                    raise ConnectionRefusedError
                server = socket.create_connection(("127.0.0.1", self._upstream), 5)
            except OSError:
                _reset(client)
                continue
            server.settimeout(None)
            pair = _Pair(self, client, server)
            self._pairs.add(pair)
            pair.start()


class _Pair:
    """A client's connection and the one to the server."""

    def __init__(self, box: Middlebox, client: socket.socket, server: socket.socket) -> None:
        self._box = box
        self._client = client
        self._server = server
        self._seen_at = time.monotonic()
        self._is_forgotten = False

    def start(self) -> None:
        for source, sink in ((self._client, self._server), (self._server, self._client)):
            threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def reset(self) -> None:
        _reset(self._client)
        _reset(self._server)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._forgets():
                    continue
                time.sleep(self._box.delay)
                sink.sendall(data)
                pattern = self._box.cuts_at
                if pattern and source is self._client and pattern in data:
                    self._box.were_cut += 1
                    break
        self._box.end(self)

    def _forgets(self) -> bool:
        now = time.monotonic()
        if not self._is_forgotten and now - self._seen_at > self._box.forgets_after:
            self._is_forgotten = True
            self._box.forgotten += 1
        self._seen_at = now
        return self._is_forgotten


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it
    connection.close()
