"""Bounds the memory for answers that clients have not read yet."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from service.engine.http.networks import UNKNOWN, network

UNSENT = "unsent"  # where the lifespan's state has it
MAX_UNSENT_BYTES = 32 * 1024 * 1024  # in a process
MAX_UNSENT_BYTES_PER_CLIENT = 16 * 1024 * 1024  # on the connections of one network
READ_TIMEOUT_SECONDS = 60.0  # a client has this long to read some of its answer
STUCK_SECONDS = 2.0  # a connection that took nothing for this long is closed first
CHECK_INTERVAL_SECONDS = 1.0  # between two looks, while bytes wait

Readings = dict[tuple[str, ...], float]


@dataclass
class _Waiting:
    """What is known of a connection: bytes that wait, since when, and when some were last taken."""

    client: str | None  # the address of the client served last; behind a proxy there are many
    size: int  # the most that waited at once: the transport frees them together, when all are taken
    left: int
    begun: float
    moved: float


class Unsent:
    """Closes connections of clients that do not read: after READ_TIMEOUT_SECONDS, or at once when
    too many bytes wait.

    When too many bytes wait, stuck connections are closed first, the oldest before others, and a
    client with more than its share loses its own ones. So slow clients lose an answer themselves,
    and cost others none.
    """

    def __init__(self) -> None:
        self._connections: dict[Any, _Waiting] = {}
        self._size = 0  # bytes at the last look, and what was added since
        self._timer: asyncio.Handle | None = None
        self._look_is_due = False
        self._closed = 0

    def watch(self, connection: Any) -> None:
        """Look after a connection on which bytes wait, until its client has taken them."""
        size = connection.transport.get_write_buffer_size()
        if not size:
            return
        waiting = self._connections.get(connection)
        if waiting is None:
            now = connection.loop.time()
            waiting = self._connections[connection] = _Waiting(None, 0, 0, now, now)
        waiting.client = connection.client_address
        waiting.left = size
        self._size += max(size - waiting.size, 0)
        waiting.size = max(size, waiting.size)
        # In the next turn of the loop: the kernel has not taken yet what was just written.
        if self._size > MAX_UNSENT_BYTES_PER_CLIENT and not self._look_is_due:
            self._stop()
            self._look_is_due = True
            self._timer = connection.loop.call_soon(self._look, connection.loop)
        elif self._timer is None:
            self._timer = connection.loop.call_later(
                CHECK_INTERVAL_SECONDS, self._look, connection.loop
            )

    def took(self, connection: Any) -> None:
        """Its client has taken most of what waited."""
        if waiting := self._connections.get(connection):
            waiting.moved = connection.loop.time()

    def forget(self, connection: Any) -> None:
        """The connection has ended."""
        if waiting := self._connections.pop(connection, None):
            self._size -= waiting.size

    def readings(self) -> Readings:
        """For the metrics."""
        return {
            ("unsent_bytes",): self._size,
            ("unread_connections_closed_total",): self._closed,
        }

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._look_is_due = False
        now = loop.time()
        for connection, waiting in list(self._connections.items()):
            left = connection.transport.get_write_buffer_size()
            if left < waiting.left:
                waiting.moved = now
            waiting.left = left
            if not left:
                del self._connections[connection]
            elif now - waiting.moved >= READ_TIMEOUT_SECONDS:
                self._close(connection)
        self._make_room(now)
        self._size = sum(waiting.size for waiting in self._connections.values())
        self._timer = (
            loop.call_later(CHECK_INTERVAL_SECONDS, self._look, loop) if self._connections else None
        )

    def _make_room(self, now: float) -> None:
        clients: dict[str, list[Any]] = defaultdict(list)
        for connection, waiting in self._connections.items():
            clients[network(waiting.client) if waiting.client else UNKNOWN].append(connection)
        for connections in clients.values():
            self._shorten(connections, MAX_UNSENT_BYTES_PER_CLIENT, now)
        self._shorten(self._connections, MAX_UNSENT_BYTES, now)

    def _shorten(self, connections: Iterable[Any], most: int, now: float) -> None:
        """Close some of these, until no more than so many bytes wait on them."""
        sizes = {one: self._connections[one] for one in connections if one in self._connections}
        excess = sum(waiting.size for waiting in sizes.values()) - most
        if excess <= 0:
            return

        def urgency(item: tuple[Any, _Waiting]) -> tuple[bool, float]:
            return now - item[1].moved < STUCK_SECONDS, item[1].begun

        for connection, waiting in sorted(sizes.items(), key=urgency):
            if excess <= 0:
                return
            excess -= waiting.size
            self._close(connection)

    def _close(self, connection: Any) -> None:
        self._closed += 1
        del self._connections[connection]
        connection.transport.abort()

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
