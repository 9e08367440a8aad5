"""Counts in Valkey against limits, with one script over one connection on the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from urllib.parse import urlsplit

# Of each key, the number before (of the period before, as much of it as is still in sight) and now.
SCRIPT = b"""
local least = 0
for i = 1, #KEYS, 2 do
    local count = redis.call('INCR', KEYS[i])
    if count == 1 then redis.call('PEXPIRE', KEYS[i], 2 * ARGV[2]) end
    local before = tonumber(redis.call('GET', KEYS[i + 1]) or 0)
    local left = ARGV[1] - count - math.floor(before * ARGV[3])
    if i == 1 or left < least then least = left end
end
return least
"""
_SHA = hashlib.sha1(SCRIPT).hexdigest().encode()
LIMIT, PERIOD_SECONDS = 1_000_000_000, 60


class Store(asyncio.Protocol):
    """A connection on which answers come in the order of the questions."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._received = b""

    @classmethod
    async def connected(cls, url: str) -> Store:
        loop = asyncio.get_running_loop()
        place = urlsplit(url)
        _, own = await loop.create_connection(cls, place.hostname, place.port)
        await own._ask(b"SCRIPT", b"LOAD", SCRIPT)
        return own

    async def left(self, *names: str) -> int:
        """Count once for each name; what the fullest of them has left."""
        number, into = divmod(time.time(), PERIOD_SECONDS)
        keys = [f"{name}:{int(number) - ago}".encode() for name in names for ago in (0, 1)]
        rest = b"%f" % (1 - into / PERIOD_SECONDS)
        arguments = [b"%d" % LIMIT, b"%d" % (PERIOD_SECONDS * 1000), rest]
        return int(await self._ask(b"EVALSHA", _SHA, b"%d" % len(keys), *keys, *arguments))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Integers are lines, and so is the answer to SCRIPT LOAD, after a line with its length."""
        *lines, self._received = (self._received + data).split(b"\r\n")
        for line in lines:
            if not line.startswith(b"$"):
                self._waiting.popleft().set_result(line.removeprefix(b":"))

    def _ask(self, *words: bytes) -> asyncio.Future[bytes]:
        parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
        self._transport.write(b"".join([b"*%d\r\n" % len(parts), *parts]))
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        return answer
