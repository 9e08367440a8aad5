"""An HTTP/1.1 proxy in front of a service, which does to clients what networks and gateways do.

with FaultProxy(server.url, seeded(7)) as proxy:
    Byline(proxy.url)
proxy.exchanges  # every request that came, the fault it met, and what the service answered
proxy.reached("POST", "/auth/refresh")  # those that the service answered
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple
from urllib.parse import urlsplit

import uvloop

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a RST
_DELAY_SECONDS = 0.1


class Fault(NamedTuple):
    """What a request meets: a status stands for a gateway's answer in place of the service's.

    `reset` ends the connection, `cut` does in the middle of the answer, `delay` is short, and
    `silence` lasts until the client gives up. `forwards`: the service has got the request, and has
    answered, before the client learns anything. 503 is a problem of the service's.
    """

    name: str
    forwards: bool = False


RESET, LOST = Fault("reset"), Fault("reset", forwards=True)
CUT, DELAY = Fault("cut", forwards=True), Fault("delay", forwards=True)
SILENCE = Fault("silence")
FAULTS = (
    *(RESET, LOST, CUT, DELAY, SILENCE),
    *(Fault("401"), Fault("429"), Fault("502"), Fault("503"), Fault("520"), Fault("200")),
    *(Fault("502", forwards=True), Fault("520", forwards=True)),
)
_HTML = "Content-Type: text/html\r\n"
_PROBLEM = "Content-Type: application/problem+json\r\n"
_UNAVAILABLE = (
    '{"type": "/problems/unavailable", "title": "Unavailable", "status": 503, "detail": "Later.",'
    ' "code": "unavailable", "instance": "urn:request:gateway", "request_id": "gateway"}'
)
_GATEWAYS = {
    "401": (
        'Unauthorized\r\nWWW-Authenticate: Bearer error="invalid_token"\r\n' + _HTML,
        "<html><h1>The access token expired (token-expired)</h1></html>",
    ),
    "429": ("Too Many Requests\r\nRetry-After: {retry_after}\r\n" + _HTML, "<html>slow</html>"),
    "502": ("Bad Gateway\r\n" + _HTML, "<html><h1>502 Bad Gateway</h1></html>"),
    "503": ("Service Unavailable\r\nRetry-After: 0\r\n" + _PROBLEM, _UNAVAILABLE),
    "520": ("Unknown\r\n", ""),
    "200": ("OK\r\n" + _HTML, "<html>Sign in to this network</html>"),
}


@dataclass
class Exchange:
    """A request that came."""

    method: str
    path: str  # without the query
    key: str | None  # its Idempotency-Key
    bearer: str | None
    at: float  # monotonic seconds
    fault: Fault | None = None
    status: int | None = None  # the service's; None if nothing reached it


Plan = Callable[[Exchange], Fault | None]


def seeded(seed: int, share: float = 0.3) -> Plan:
    """Any fault for this share of the requests; the seed decides their order."""
    random = Random(seed)
    return lambda _: random.choice(FAULTS) if random.random() < share else None


def script(path: str, *faults: Fault | None) -> Plan:
    """One of these faults for each of the first requests for a path, and none for any other."""
    left = list(faults)
    return lambda exchange: left.pop(0) if left and exchange.path == path else None


class FaultProxy:
    """The proxy, on a port of 127.0.0.1; `plan` and `retry_after` can be replaced meanwhile."""

    def __init__(self, upstream: str, plan: Plan = lambda _: None) -> None:
        address = urlsplit(upstream)
        self.upstream = str(address.hostname), int(address.port or 80)
        self.plan = plan
        self.retry_after = "1"
        self.exchanges: list[Exchange] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._loop = uvloop.new_event_loop()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def asked(self, method: str, path: str) -> list[Exchange]:
        """These requests, whatever became of them."""
        return [each for each in self.exchanges if (each.method, each.path) == (method, path)]

    def reached(self, method: str, path: str) -> list[Exchange]:
        """Those of them that the service has answered."""
        return [each for each in self.asked(method, path) if each.status is not None]

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())  # and then ends the connections

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._listener)
        await self._ending.wait()
        server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _Connection(self, _Side(reader, writer)).serve()


class _Connection:
    """A client's connection, and one to the service for it."""

    def __init__(self, proxy: FaultProxy, client: _Side) -> None:
        self._proxy = proxy
        self._client = client
        self._server: _Side | None = None

    async def serve(self) -> None:
        try:
            while head := await self._client.head():
                if not await self._exchange(head):
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one side has gone, or the proxy ends, and the others go with it
        finally:
            self._client.writer.close()
            self._leave_server()

    async def _exchange(self, head: _Head) -> bool:
        """Whether the connection goes on after this request and what becomes of it."""
        body = await self._client.reader.readexactly(head.length or 0)
        exchange = head.exchange()
        fault = exchange.fault = self._proxy.plan(exchange)
        self._proxy.exchanges.append(exchange)
        answer = None
        if fault is None or fault.forwards:
            answer = await self._forward(head.raw + body)
            exchange.status = answer.status
        if answer and fault in {None, CUT, DELAY}:
            if fault == DELAY:
                await asyncio.sleep(_DELAY_SECONDS)
            return await self._pass_on(answer, is_cut=fault == CUT, is_head=head.is_for_head)
        assert fault
        self._leave_server()  # which has an answer that nobody reads
        return await self._strike(fault.name)

    async def _forward(self, request: bytes) -> _Head:
        if self._server is None or self._server.reader.at_eof():
            self._leave_server()
            self._server = _Side(*await asyncio.open_connection(*self._proxy.upstream))
        self._server.writer.write(request)
        answer = await self._server.head()
        if answer is None:
            raise ConnectionResetError
        return answer

    async def _pass_on(self, answer: _Head, *, is_cut: bool, is_head: bool) -> bool:
        assert self._server
        client, server = self._client.writer, self._server.reader
        pieces = 0
        has_body = not (is_head or answer.status in {204, 304} or answer.length == 0)
        if is_cut and not has_body:
            client.write(answer.raw[: len(answer.raw) // 2])
            return False
        client.write(answer.raw)
        if not has_body:
            return not answer.closes
        if answer.length is not None:
            size = answer.length // 2 if is_cut else answer.length
            client.write((await server.readexactly(answer.length))[:size])
            return not (is_cut or answer.closes)
        while (line := await server.readuntil(b"\r\n")) and not (is_cut and pieces):
            pieces += 1
            client.write(line + await server.readexactly(int(line, 16) + 2))
            await client.drain()
            if int(line, 16) == 0:
                return not answer.closes
        return False

    async def _strike(self, name: str) -> bool:
        if name == "silence":
            await self._client.reader.read(1)  # the client's end, for it waits for an answer
            return False
        if name == "reset":
            end = self._client.writer.get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._client.writer.transport.abort()
            return False
        head, body = _GATEWAYS[name]
        head = f"HTTP/1.1 {name} {head}Content-Length: {len(body)}\r\n\r\n"
        text = head.replace("{retry_after}", self._proxy.retry_after) + body
        self._client.writer.write(text.encode())
        return True

    def _leave_server(self) -> None:
        if self._server:
            self._server.writer.close()
        self._server = None


class _Head:
    """The part of a request or an answer before its body."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        first, *lines = raw.decode("latin-1").split("\r\n")
        self._first = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        self._headers = {name.lower(): value.strip() for name, _, value in pairs}
        length = self._headers.get("content-length")
        self.length = None if length is None else int(length)
        self.closes = self._headers.get("connection", "").lower() == "close"

    @property
    def status(self) -> int:
        return int(self._first[1])

    @property
    def is_for_head(self) -> bool:
        return self._first[0] == "HEAD"

    def exchange(self) -> Exchange:
        key, bearer = self._headers.get("idempotency-key"), self._headers.get("authorization")
        path = self._first[1].partition("?")[0]
        return Exchange(self._first[0], path, key, bearer, time.monotonic())


class _Side(NamedTuple):
    """A connection's two directions."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> _Head | None:
        """What comes next; None at the end."""
        try:
            return _Head(await self.reader.readuntil(b"\r\n\r\n"))
        except asyncio.IncompleteReadError:
            return None
