"""Sends an answer in as few packets as possible."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from service.engine.http import problems
from service.engine.problems import Problem
from service.engine.request import Headers, encoded, new_request_id

MAX_JOINED_BYTES = 64 * 1024  # a body up to this size is copied behind the head
MAX_WRITE_BYTES = 128 * 1024  # the transport frees a write only when all of it is sent
_CONTINUE = b"HTTP/1.1 100 "


class Joining:
    """A transport that sends the head of an answer together with its body, which saves a system
    call, a packet and 12 us. `close` replaces the transport's own.
    """

    def __init__(self, transport: Any, close: Callable[[], None]) -> None:
        self._transport = transport
        self._close = close
        self._head = b""
        self._has_head = False

    def write(self, data: bytes) -> None:
        if self._head:
            if len(data) <= MAX_JOINED_BYTES:
                data, self._head = self._head + data, b""
            else:
                self.flush()
        elif not self._has_head and not data.startswith(_CONTINUE):
            self._has_head = True
            self._head = data
            return
        if len(data) <= MAX_WRITE_BYTES:
            self._transport.write(data)
        else:
            for start in range(0, len(data), MAX_WRITE_BYTES):
                self._transport.write(data[start : start + MAX_WRITE_BYTES])

    def flush(self) -> None:
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        self.flush()
        self._close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def refusal(problem: Problem, default_headers: Headers) -> bytes:
    """The answer to bytes that are not a request, the last one of its connection."""
    request_id = new_request_id()
    answer = problems.answer(problem, request_id)
    headers = [
        *default_headers,
        *answer.headers,
        *encoded({"X-Request-Id": request_id, "X-Content-Type-Options": "nosniff"}),
        (b"connection", b"close"),
    ]
    status = HTTPStatus(answer.status)
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}".encode(),
        *(b"%b: %b" % header for header in headers),
    ]
    return b"\r\n".join([*lines, b"", answer.body])
