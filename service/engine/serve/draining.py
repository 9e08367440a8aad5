"""uvicorn's server, which ends in steps: drain, close, finish (drawn in `__init__.py`)."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import struct
import sys
import time
from array import array
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn

from service.engine.serve.protocol import LEAVING

# Orders of the supervisor to a worker, and what a worker says.
DRAIN, RETIRE, CLOSE, FORCE = b"d", b"r", b"c", b"f"
ALIVE, CLOSED = b".", b"x"
CONNECTIONS_PER_TURN = 16  # accepted in one turn of the loop
HEARTBEAT_SECONDS = 1.0  # between two ALIVE of a worker
HANDSHAKE_SECONDS = 0.1  # more than most round trips: handshakes that have begun can finish
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER of asm-generic/socket.h


class Server(uvicorn.Server):
    """When told to end, it goes on answering for `delay` seconds, with a readiness of 503 and with
    `Connection: close`, so that clients move elsewhere. Then it closes its sockets and finishes.

    SIGINT and a second signal skip the delay. A worker process gets a `line` to its supervisor,
    ignores signals, obeys the orders from the line, and ends when the supervisor has gone.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        delay: float = 0,
        line: socket.socket | None = None,
    ) -> None:
        super().__init__(config)
        self._delay = delay
        self._line = line
        self._closes = math.inf  # when the sockets are to be closed, by the monotonic clock
        self._is_being_replaced = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._line:
            return
        self._captured_signals.append(sig)
        now = time.monotonic()
        if not self.should_exit:
            self._closes = now + (0 if sig == signal.SIGINT else self._delay)
            self.should_exit = True
            if self._loop:  # not here: the signal may have interrupted the making of a connection
                self._loop.call_soon_threadsafe(self._leave)
        elif now < self._closes:
            self._closes = now
        elif sig == signal.SIGINT:
            self.force_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if sockets and not self._line:
            sockets = [same for one in sockets for same in _several(one)]
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._tasks.append(asyncio.create_task(self._beat()))
        if self._line:
            self._tasks.append(asyncio.create_task(self._obey(self._line)))

    async def main_loop(self) -> None:
        await super().main_loop()
        if self._is_being_replaced:
            await self._close_listeners()
        while time.monotonic() < self._closes:
            await asyncio.sleep(0.05)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self._line:  # a supervisor does it for all of its workers
            mute(listener for server in self.servers for listener in server.sockets)
            await asyncio.sleep(HANDSHAKE_SECONDS)  # the kernel ends those that have begun
        await self._close_listeners()
        await super().shutdown()
        for task in self._tasks:
            task.cancel()

    def _leave(self) -> None:
        """Make every answer its connection's last; not ready any more, unless it is replaced."""
        self.lifespan.state[LEAVING] = True
        if not self._is_being_replaced:
            self.config.loaded_app.app.extensions[LEAVING] = True
        for connection in self.server_state.connections:
            connection.leave()  # type: ignore[union-attr] # it is our Protocol
        self.should_exit = True

    async def _beat(self) -> None:
        """Keep the Date header right while draining, and tell the supervisor that the loop runs."""
        while True:
            await self.on_tick(0)
            self._say(ALIVE)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _obey(self, line: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while order := await loop.sock_recv(line, 1):
                if order == CLOSE:
                    self._closes = 0
                elif order == FORCE:
                    self.force_exit = True
                else:
                    self._is_being_replaced = order == RETIRE
                    self._leave()
        self._closes = 0
        self._leave()

    def _say(self, what: bytes) -> None:
        if self._line:
            with suppress(OSError):
                self._line.send(what)

    async def _close_listeners(self) -> None:
        """Close the sockets, but accept the queued connections first, or they would be reset."""
        listeners = [
            socket.fromfd(listener.fileno(), listener.family, listener.type)
            for server in self.servers
            for listener in server.sockets
        ]
        for server in self.servers:
            server.close()
        waiting: list[socket.socket] = []
        for listener in listeners:
            listener.setblocking(False)
            with listener, suppress(OSError):
                while True:
                    waiting.append(listener.accept()[0])
        self._say(CLOSED)
        loop = asyncio.get_running_loop()
        for connection in waiting:
            connection.setblocking(False)
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> Any:
        make: Any = self.config.http_protocol_class
        return make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _several(listener: socket.socket) -> list[socket.socket]:
    """The socket and duplicates of it, which share one queue of connections.

    libuv accepts one connection from a socket in each turn of the loop. Turns are long while large
    answers are sent, and a health check would wait one turn for each connection before it. Workers
    have no duplicates: with them, replacing one while others listen has reset connections.
    """
    return [listener, *(listener.dup() for _ in range(CONNECTIONS_PER_TURN - 1))]


def mute(listeners: Iterable[Any]) -> None:
    """Have the kernel drop new SYNs, but finish the handshakes that have begun (Linux only).

    A client repeats its SYN after a second, and is refused then: nothing listens any more. The
    filter is attached to the socket itself, so it holds in every process that shares it.
    """
    if sys.platform != "linux":
        return
    # Load the flags; if SYN is set, take no byte of the packet, else all.
    steps = [(0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0x40000)]
    program = array("B", b"".join(struct.pack("HBBI", *step) for step in steps))
    option = struct.pack("HP", len(steps), program.buffer_info()[0])
    for listener in listeners:
        with suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, option)
