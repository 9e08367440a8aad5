"""HTTP as uvicorn reads it, with an end to what it would wait for, keep and believe."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problems import BadRequest, HeadersTooLarge, Problem
from service.web import problems
from service.web.call import Headers, encoded, new_request_id

MAX_HEAD = 64 * 1024  # bytes of a head that are taken while its end is awaited
HEAD_TIMEOUT = 10.0  # seconds to send them
JOINED = 64 * 1024  # bytes of a body that are copied behind the head
READ_TIMEOUT = 60.0  # seconds in which a client has to take some of what waits for it
LAST_CALL = 1.0  # seconds for the first request of a connection, when the server ends
LEAVING = "leaving"  # is in the lifespan's state as soon as every answer is a connection's last
_CONTINUE = b"HTTP/1.1 100 "


class Protocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=...)`.

    uvicorn itself answers in plain text what is no HTTP, keeps headers of any length, waits for
    them for ever, and takes the trailers of a chunked body for headers, and the body of a request
    that offers an upgrade for the next request. It keeps an answer for ever for a client that does
    not read it, of pipelined requests it tells only the last that the client has gone, and it
    refuses what follows them before it has answered them.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._in_head = False
        self._unfinished = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._read_check: asyncio.TimerHandle | None = None
        self._answering: Any = None
        self._is_deaf = False  # to what comes behind bytes that are no HTTP
        self._expect_the_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_watching()
        if self._answering:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._expect_reading()

    def on_response_complete(self) -> None:
        self._answering.transport.flush()
        super().on_response_complete()
        self._expect_reading()

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        went_on = self._in_head
        self._parse(data)
        if self.transport.is_closing():
            return
        # Empty lines before a head, and the body of what was refused, have no end of their own.
        if self._in_head or self._answering is None or self._answering.response_complete:
            self._expect_the_rest()
        if self._in_head:
            self._unfinished += len(data) if went_on else 0
            if self._unfinished > MAX_HEAD:
                self._refuse(HeadersTooLarge())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # later it is a trailer, and no header (RFC 9110, section 6.5.1)
            super().on_header(name, value.rstrip(b" \t"))  # section 5.5

    def on_headers_complete(self) -> None:
        is_tunnel = self.parser.get_method() == b"CONNECT"
        if self.parser.should_upgrade() and not is_tunnel:
            return  # `_parse` reads it again without the offer
        # The parser lets 0.9 and 2.0 pass, which are no such messages (RFC 9110, section 2.5).
        if self.parser.get_http_version() not in {"1.0", "1.1"}:
            raise ValueError
        self._in_head = False
        self._unfinished = 0
        self._stop_waiting()
        if not self.url.startswith(b"/"):
            self.headers[:] = _with_host_of(self.url, self.headers)
        super().on_headers_complete()
        if is_tunnel:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        if not self._in_head:  # the end of a head with an upgrade is not that of its message
            super().on_message_complete()

    def leave(self) -> None:
        """Say with the answer that is being made, unless it has begun, that it is the last."""
        if self._answering and not self._answering.response_started:
            self._answering.keep_alive = False

    def shutdown(self) -> None:
        """Close as soon as what has begun is answered."""
        if self._answering:
            if not self._in_head:
                super().shutdown()
        elif not self._in_head:
            self._stop_waiting()
            self._deadline = self.loop.call_later(LAST_CALL, self.transport.close)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if LEAVING in self.app_state:
            cycle.keep_alive = False
        cycle.transport = _Joining(self.transport)
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            except httptools.HttpParserError:
                self._refuse(BadRequest())
                return
            if not self._in_head:  # CONNECT: what follows is not HTTP, and there is no tunnel
                self._is_deaf = True
                return
            data = self._head_without_upgrade() + data

    def _head_without_upgrade(self) -> bytes:
        """The head that has just ended, to be parsed again as if no upgrade had been offered.

        An upgrade that is not made is ignored (RFC 9110, section 7.8). The parser cannot do that:
        it takes the request for one without a body, and the body for what comes next.
        """
        start = (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [b"%b %b HTTP/%b" % start]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"\r\n".join([*lines, b"", b""])

    def _expect_the_rest(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_TIMEOUT, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expect_reading(self) -> None:
        self._stop_watching()
        if waiting := self.transport.get_write_buffer_size():
            self._read_check = self.loop.call_later(READ_TIMEOUT, self._check_reading, waiting)

    def _check_reading(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._expect_reading()
        else:
            self.transport.abort()

    def _stop_watching(self) -> None:
        if self._read_check is not None:
            self._read_check.cancel()
            self._read_check = None

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem, and close the connection that it came on."""
        before = self._answering
        if before and not before.more_body and not before.response_complete:
            # A whole request is being answered: the refusal would be taken for its answer.
            before.keep_alive = False
            self.pipeline.clear()
            self._is_deaf = True
            self._stop_waiting()
            return
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


def _with_host_of(target: bytes, headers: Headers) -> Headers:
    """The headers, with the host that a target in absolute form names for their own (RFC 9112,
    section 3.2.2); a request without a Host, or with two, stays what it is."""
    scheme, separator, rest = target.partition(b"://")
    hosts = [value for name, value in headers if name == b"host"]
    if not separator or len(hosts) != 1 or scheme.lower() not in {b"http", b"https"}:
        return headers
    authority = re.split(rb"[/?#]", rest, maxsplit=1)[0]
    return [(name, authority if name == b"host" else value) for name, value in headers]


class _Joining:
    """A connection on which the head of an answer goes out with the body behind it: one system call
    and one packet less, 12 us."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head = b""
        self._is_begun = False

    def write(self, data: bytes) -> None:
        if self._head and len(data) <= JOINED:
            data, self._head = self._head + data, b""
        elif not self._is_begun and not data.startswith(_CONTINUE):
            self._is_begun = True
            self._head = data
            return
        self.flush()
        self._transport.write(data)

    def flush(self) -> None:
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
