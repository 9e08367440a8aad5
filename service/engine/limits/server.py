"""A server of a store, and the work of connecting to it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from service.engine.limits.connection import PATIENCE_SECONDS, Connection, Lost
from service.engine.limits.hits import (
    NO_LIMIT,
    Count,
    Hit,
    NotAsked,
    command,
    counts,
    question,
    with_script,
)
from service.engine.limits.redis_parts import NoScriptError

CONNECT_TIMEOUT_SECONDS = 0.4
TRIAL = Hit("trial", NO_LIMIT, 60)

_PING = command("PING")

Failed = Callable[[Exception], None]
Address = tuple[str, int] | str  # or the path of a Unix socket


class Access(NamedTuple):
    """What every server of a store is to be told first, and how."""

    greetings: list[bytes]
    tls: ssl.SSLContext | None = None

    async def connect(self, address: Address) -> Connection:
        """A connection that has answered."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                connection = await self._open(address)
                try:
                    await self._greet(connection)
                except BaseException:
                    connection.close()
                    raise
                return connection
        except OSError as error:  # a timeout is one, too
            raise ConnectionError from error

    async def _open(self, address: Address) -> Connection:
        loop = asyncio.get_running_loop()
        if isinstance(address, str):
            return (await loop.create_unix_connection(Connection, address))[1]
        transport, connection = await loop.create_connection(Connection, *address, ssl=self.tls)
        made: socket.socket = transport.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection

    async def _greet(self, connection: Connection) -> None:
        started = time.monotonic()
        said = [connection.ask(one, is_patient=True) for one in (*self.greetings, _PING)]
        for answer in said:
            value(await answer)
        connection.is_slow = time.monotonic() - started > PATIENCE_SECONDS


class Task:
    """Work that all who need it wait for together, and that goes on when they give up.

    `failed` is called with what it raises, whoever waits.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]], failed: Failed) -> None:
        self._work = work
        self._failed = failed
        self._task: asyncio.Task[None] | None = None

    async def done(self, patience: float | None) -> None:
        """Wait for the work, which begins now unless it is under way.

        Raises `NotAsked` after `patience` seconds, and what the work raises.
        """
        task = self._task
        if task is None:
            task = self._task = asyncio.create_task(self._work())
            task.add_done_callback(self._ended)
        if patience != 0:
            await asyncio.wait([task], timeout=patience)
        if not task.done():
            raise NotAsked
        if task.cancelled():
            raise Lost
        task.result()

    def cancel(self) -> None:
        if self._task:
            self._task.cancel()
            self._task = None

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._failed(error)


class Server:
    """One server, with a connection that is made when it is needed.

    `address` is looked up for each new connection. `failed` is called when none can be made.
    """

    def __init__(
        self, address: Callable[[], Awaitable[Address]], access: Access, failed: Failed
    ) -> None:
        self._address = address
        self._access = access
        self._connection: Connection | None = None
        self._connecting = Task(self._connect, failed)

    @property
    def is_slow(self) -> bool:
        """Whether requests do not wait for the server's answers."""
        return self._connection is not None and self._connection.is_slow

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and self._connection.is_open

    async def hit(self, hits: list[Hit], *first: bytes, is_patient: bool = False) -> list[Count]:
        """The counts of hits, up to the first without room; see `ask`."""
        asked = question(hits)
        try:
            answer = await self.ask(*first, asked, is_patient=is_patient)
        except NoScriptError:
            answer = await self.ask(*first, with_script(asked), is_patient=is_patient)
        return counts(answer)

    async def ask(self, *questions: bytes, is_patient: bool = False) -> Any:
        """The answer to the last of some questions, which are sent together.

        Raises `Late`, unless the asker is patient; for a failure, what it was.
        """
        *first, last = questions
        for is_repeated in (False, True):
            connection = self._connection
            if connection is None or not connection.is_open:
                connection = await self._connected(is_patient)
            for one in first:
                connection.ask(one, is_patient=True)
            try:
                return value(await connection.ask(last, is_patient=is_patient))
            except Lost:  # it may have been idle for long: a new one tells
                if is_repeated or self._connection is None:
                    raise
        raise AssertionError

    async def check(self) -> None:
        """Count something; raises what keeps the server from it."""
        await self.hit([TRIAL], is_patient=True)

    def close(self) -> None:
        self._connecting.cancel()
        if self._connection:
            self._connection.close()
            self._connection = None

    async def _connected(self, is_patient: bool) -> Connection:
        patience = 0 if self.is_slow else PATIENCE_SECONDS
        await self._connecting.done(None if is_patient else patience)
        if self._connection is None:  # closed meanwhile
            raise Lost
        return self._connection

    async def _connect(self) -> None:
        self._connection = await self._access.connect(await self._address())


def value(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer
