"""HTTP as uvicorn reads it, with an end to what it would wait for, keep and believe."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problems import BadRequest, HeadersTooLarge, Problem
from service.web import problems
from service.web.call import encoded, new_request_id

MAX_HEAD = 64 * 1024  # bytes of a head that are taken while its end is awaited
HEAD_TIMEOUT = 10.0  # seconds to send them


class Protocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=...)`.

    uvicorn itself answers in plain text what is no HTTP, keeps headers of any length, waits for
    them for ever, and takes the trailers of a chunked body for headers.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._in_head = False
        self._unfinished = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._expect_the_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        went_on = self._in_head
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._expect_the_rest()
            self._unfinished += len(data) if went_on else 0
            if self._unfinished > MAX_HEAD:
                self._refuse(HeadersTooLarge())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # later it is a trailer, and no header (RFC 9110, section 6.5.1)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._unfinished = 0
        self._stop_waiting()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are no HTTP/1.1."""
        self._refuse(BadRequest())

    def _expect_the_rest(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_TIMEOUT, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem, and close the connection that it came on."""
        request_id = new_request_id()
        refusal = problems.answer(problem, request_id)
        headers = [
            *self.server_state.default_headers,
            *refusal.headers,
            *encoded({"X-Request-Id": request_id, "X-Content-Type-Options": "nosniff"}),
            (b"connection", b"close"),
        ]
        status = HTTPStatus(refusal.status)
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}".encode(),
            *(b"%b: %b" % header for header in headers),
        ]
        self.transport.write(b"\r\n".join([*lines, b"", refusal.body]))
        self.transport.close()
