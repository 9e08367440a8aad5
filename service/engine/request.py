"""The request that the layers pass on in the ASGI scope, and the answer that comes back."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from service.engine.http.networks import UNKNOWN, address

if TYPE_CHECKING:
    from service.engine.tokens.tokens import Claims

SCOPE_KEY = "engine.request"  # where the ASGI scope carries the Request
WHOLE_KEY = "engine.whole"  # is in the scope, and true, once the whole request has come
Headers = list[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}", re.ASCII)


# The request that a thread or greenlet is handling.
current_request: ContextVar[Request] = ContextVar("current_request")


class Client(NamedTuple):
    """Where a request comes from, for the audit log; empty if unknown."""

    ip: str
    user_agent: str


class Request:
    """One request: what the inner layers need, and what they note for the answer.

    `headers` maps lower-case names to values; `ip` is the client's address; `limits` collects the
    (`RateLimit-Policy`, `RateLimit`) items of every limit that counted it; `operation` is the
    operationId once it is known; `owes_client_count` says that the limits of its client have not
    counted it yet; `is_whole` that its body had come when its answer began.
    """

    __slots__ = (
        "claims",
        "headers",
        "ip",
        "is_whole",
        "limits",
        "method",
        "operation",
        "owes_client_count",
        "path",
        "path_values",
        "query",
        "request_id",
        "scheme",
        "server",
        "span",
        "span_id",
        "started",
        "status",
        "trace_id",
    )

    def __init__(self, scope: dict[str, Any]) -> None:
        # No reference to the scope: it refers to this object, and a cycle needs the collector.
        client = scope.get("client")
        self.ip = address(client[0]) if client else UNKNOWN
        self.server: tuple[str, int | None] = scope.get("server") or ("localhost", 80)
        self.scheme: str = scope.get("scheme", "http")
        self.started = time.perf_counter()
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = {}
        self.is_whole: bool = scope.get(WHOLE_KEY, False)
        self.request_id = _request_id(scope["headers"])
        self.operation = ""
        self.path_values: tuple[str, ...] = ()
        self.claims: Claims | None = None
        self.limits: list[tuple[str, str]] = []
        self.owes_client_count = False
        self.status = 0
        self.trace_id: str | None = None
        self.span_id: str | None = None
        self.span: Any = None  # OpenTelemetry's, if the request is traced

    @property
    def client(self) -> Client:
        given = self.headers.get(b"user-agent", b"")
        try:
            agent = given.decode()  # apps may be named in any script
        except UnicodeDecodeError:
            agent = given.decode("latin-1")
        ip = "" if self.ip == UNKNOWN else self.ip
        return Client(ip, "".join(filter(str.isprintable, agent)))

    def header(self, name: bytes) -> str | None:
        """The header's value as Latin-1 text (RFC 9110, section 5.5), if it was sent."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


class Answer(NamedTuple):
    """A complete response."""

    status: int
    headers: Headers
    body: bytes


class Stream(NamedTuple):
    """A response in chunks: `make` returns the next chunk, and an empty one at the end."""

    status: int
    headers: Headers
    make: Callable[[], Awaitable[bytes]]


def size(made: Any) -> int:
    """The bytes of an Answer's body or of a chunk; 0 for anything else."""
    if isinstance(made, Answer):
        return len(made.body)
    return len(made) if isinstance(made, bytes) else 0


def new_request_id() -> str:
    return os.urandom(12).hex()


def encoded(headers: Mapping[str, str]) -> Headers:
    """Headers as ASGI wants them."""
    return [(_name(name), value.encode("latin-1")) for name, value in headers.items()]


async def send_answer(send: Any, answer: Answer) -> None:
    await send(_start(answer))
    await send({"type": "http.response.body", "body": answer.body})


async def send_stream(send: Any, receive: Any, stream: Stream) -> None:
    """Send chunk by chunk, until the client disconnects; raises what `make` raises."""
    gone = asyncio.ensure_future(_disconnect(receive))
    try:
        chunk = await stream.make()  # before the head: a failure can still be a problem document
        await send(_start(stream))
        while chunk and not gone.done():
            await send(_piece(chunk))
            del chunk  # the server limits the bytes it holds; a reference here would keep more
            await send(_piece(b""))  # waits until the client has read most of it
            chunk = await stream.make()
        if not gone.done():
            await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


def _piece(chunk: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": chunk, "more_body": True}


def _start(answer: Answer | Stream) -> dict[str, Any]:
    return {
        "type": "http.response.start",
        "status": answer.status,
        "headers": answer.headers,
    }


async def _disconnect(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@lru_cache(256)
def _name(name: str) -> bytes:
    return name.lower().encode()


def _request_id(headers: Headers) -> str:
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return new_request_id()
