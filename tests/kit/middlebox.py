"""A TCP proxy between a service and its peers that forgets, delays, refuses and cuts connections.

with Middlebox(server.port) as box:
    url = f"postgresql://postgres@127.0.0.1:{box.port}/byline"
    box.forgets_after = 1.0     # after so many idle seconds, all bytes are dropped silently
    box.delay = 0.2             # seconds by which all bytes are delayed
    box.refuses = True          # new connections are reset
    box.cut()                   # existing connections are reset
    box.abandon()               # the same, but the peer does not notice
    box.cuts_at = b"COMMIT"     # forwards this, and resets the connection before the answer
    box.fault = Fault(b"quit", "silence", 0.5)  # happens once: see `Fault`
"""

from __future__ import annotations

import math
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Literal, NamedTuple

from sqlalchemy import make_url

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a RST


def by_way_of(box: Middlebox, url: str) -> str:
    """The URL of the same server through the box."""
    return make_url(url).set(port=box.port).render_as_string(hide_password=False)


class Fault(NamedTuple):
    """What happens to one connection when its client first sends `at`; b"" means when it connects.

    `passed_on` is the part of the client's bytes that arrives, from 0 to 1; above 1, the server's
    answer passes too. Then the connection is reset, or nothing passes any more, or the client gets
    `REFUSAL` instead of an answer, or `FAREWELL` and a reset.
    """

    at: bytes
    how: Literal["reset", "silence", "refusal", "farewell"]
    passed_on: float = 0

    def __str__(self) -> str:
        return f"{self.how}-{self.passed_on}"

    @property
    def waits_for_answer(self) -> bool:
        return self.how == "reset" and self.passed_on == 1


REFUSAL = b"421 4.3.2 Come back later\r\n"
# What PostgreSQL says when it is stopped, with its length.
_STOPPED = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
FAREWELL = b"E" + struct.pack("!i", 4 + len(_STOPPED)) + _STOPPED


class Middlebox:
    """A TCP proxy on a port of 127.0.0.1, in front of another port there."""

    def __init__(self, upstream: int) -> None:
        self.forgets_after = math.inf
        self.delay = 0.0
        self.refuses = False
        self.cuts_at: bytes | None = None
        self.fault: Fault | None = None
        self.forgotten = 0  # connections
        self.were_cut = 0
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port: int = self._listener.getsockname()[1]
        self._pairs: set[_Pair] = set()
        self._lock = threading.Lock()
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

    def abandon(self) -> None:
        """Reset every connection to the client, and leave the one to the server as it is."""
        for pair in list(self._pairs):
            pair.abandon()

    def take_fault(self, data: bytes) -> Fault | None:
        """The fault, if these bytes trigger it; it happens once."""
        with self._lock:
            fault = self.fault
            if fault is None or fault.at not in data or bool(fault.at) != bool(data):
                return None
            self.fault = None
            return fault

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
    """A client's connection, and the matching one to the server."""

    def __init__(self, box: Middlebox, client: socket.socket, server: socket.socket) -> None:
        self._box = box
        self._client = client
        self._server = server
        self._seen_at = time.monotonic()
        self._is_forgotten = False
        self._is_abandoned = False
        self._ends_with_answer = False

    def start(self) -> None:
        if (fault := self._box.take_fault(b"")) and self._strikes(fault, b""):
            self._box.end(self)
            return
        for source, sink in ((self._client, self._server), (self._server, self._client)):
            threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def reset(self) -> None:
        _reset(self._client)
        _reset(self._server)

    def abandon(self) -> None:
        self._is_abandoned = True
        _reset(self._client)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if source is self._server and self._ends_with_answer:
                    break
                if self._forgets():
                    continue
                time.sleep(self._box.delay)
                if source is self._client and (fault := self._box.take_fault(data)):
                    if self._strikes(fault, data):
                        break
                    continue
                sink.sendall(data)
                pattern = self._box.cuts_at
                if pattern and source is self._client and pattern in data:
                    self._box.were_cut += 1
                    break
        if not self._is_abandoned:
            self._box.end(self)

    def _strikes(self, fault: Fault, data: bytes) -> bool:
        """Apply a fault; whether to reset the connection at once."""
        self._is_forgotten = True  # first, so that no answer gets through
        self._ends_with_answer = fault.waits_for_answer
        self._server.sendall(data[: int(len(data) * fault.passed_on)])
        if fault.how == "refusal":
            self._client.sendall(REFUSAL)
            self._client.shutdown(socket.SHUT_WR)
        if fault.how == "farewell":
            self._client.sendall(FAREWELL)
        return fault.how in {"reset", "farewell"} and not fault.waits_for_answer

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
