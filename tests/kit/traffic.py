"""Records a sample of the requests and answers of the tests' servers. `drift.py` validates it with
openapi-core, which shares no code with the service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson

from service.engine.problems import NotFound
from service.engine.request import SCOPE_KEY
from service.engine.spec.routing import Routes
from service.specification import specification

EACH = 4  # exchanges recorded of each kind
LARGEST = 384 * 1024  # bytes of a recorded body; the specification has 320 KB

_ROUTES = Routes(specification.document["paths"])

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its whole answer; `operation` is empty if none was reached."""

    operation: str
    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes
    status: int
    answer_headers: Headers
    answer: bytes

    def __str__(self) -> str:
        query = f"?{self.query.decode('latin-1')}" if self.query else ""
        return f"{self.method} {self.path}{query} {self.status}"


class Traffic:
    """The recorded exchanges: the first few of every kind."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self._kept: Counter[Hashable] = Counter()

    def add(self, exchange: Exchange) -> None:
        kind = _kind(exchange)
        if self._kept[kind] < EACH:
            self._kept[kind] += 1
            self.exchanges.append(exchange)


SUITE = Traffic()  # of all servers in this process


class Recorder:
    """An ASGI application that passes everything on unchanged and records it."""

    def __init__(self, app: Any, traffic: Traffic) -> None:
        self.app = app
        self._traffic = traffic

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request, answer = _Body(), _Body()
        head: dict[str, Any] = {}

        async def hear() -> Any:
            message = await receive()
            if message["type"] == "http.request":
                request.add(message)
            return message

        async def tell(message: Any) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
            else:
                answer.add(message)
            await send(message)

        await self.app(scope, hear, tell)
        if answer.is_whole and not request.is_too_long:
            self._traffic.add(_exchange(scope, request, head, answer))


class _Body:
    """The parts of a body, until it is too long to record."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._has_ended = False

    @property
    def is_too_long(self) -> bool:
        return self._size > LARGEST

    @property
    def is_whole(self) -> bool:
        return self._has_ended and not self.is_too_long

    def add(self, message: Any) -> None:
        part = message.get("body", b"")
        self._size += len(part)
        self._has_ended = not message.get("more_body", False)
        if self.is_too_long:
            self._parts.clear()
        else:
            self._parts.append(part)

    def __bytes__(self) -> bytes:
        return b"".join(self._parts)


def _exchange(scope: Any, request: _Body, head: dict[str, Any], answer: _Body) -> Exchange:
    return Exchange(
        operation=scope[SCOPE_KEY].operation,
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"],
        headers=scope["headers"],
        body=bytes(request),
        status=head["status"],
        answer_headers=head["headers"],
        answer=bytes(answer),
    )


def _kind(exchange: Exchange) -> Hashable:
    """The kind of an exchange: the features of the operation that it uses, or the reason for its
    refusal."""
    where = exchange.operation or _meant(exchange.path), exchange.method, exchange.status
    if exchange.status >= 400:
        problem = _fields(exchange.answer)
        errors = problem.get("errors", ())
        return *where, problem.get("code"), *sorted({error["code"] for error in errors})
    names = {name for name, _ in parse_qsl(exchange.query.decode("latin-1"), True)}
    return *where, *sorted(names), *sorted(_fields(exchange.body))


def _meant(path: str) -> str:
    """The operations at the address of a request that was refused before reaching one."""
    try:
        return str(_ROUTES.find(path)[0])
    except NotFound:
        return ""


def _fields(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
