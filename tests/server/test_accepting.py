"""Connections that come at the same time are not taken one by one."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from typing import Any, ClassVar

import uvicorn

from service.engine.serve.draining import CONNECTIONS_PER_TURN, Server

NUMBER = 8 * CONNECTIONS_PER_TURN


class _Counted(asyncio.Protocol):
    """Notes in which turn of the loop its connection was taken."""

    turn = 0
    taken: ClassVar[list[int]] = []

    def __init__(self, **_: Any) -> None:
        pass

    def connection_made(self, transport: Any) -> None:
        self.taken.append(self.turn)
        transport.close()


async def _no_application(scope: Any, receive: Any, send: Any) -> None:
    """Is never asked."""


def test_many_connections_are_taken_in_each_turn_of_the_loop() -> None:
    """A health check that comes last would wait for as many turns as there are others."""
    _Counted.taken.clear()

    async def serve(listener: socket.socket) -> None:
        server = Server(uvicorn.Config(_no_application, http=_Counted, lifespan="off"))
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup([listener])
        while len(_Counted.taken) < NUMBER:
            await asyncio.sleep(0)
            _Counted.turn += 1
        await server.shutdown()

    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=NUMBER))
        for _ in range(NUMBER):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        with asyncio.Runner(loop_factory=uvicorn.Config(_no_application).get_loop_factory()) as own:
            own.run(asyncio.wait_for(serve(listener), 30))
    assert _Counted.taken[-1] - _Counted.taken[0] < 2 * NUMBER / CONNECTIONS_PER_TURN
