"""HTTP/1.1 messages by RFC 9110 and 9112; uvicorn's parser alone accepts more than they allow."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.engine.problems import BadRequest, BodyTooLarge, HeadersTooLarge
from service.engine.request import WHOLE_KEY, Headers

MAX_HEAD_BYTES = 72 * 1024  # room for a target and headers that the front door accepts
MAX_HEADER_LINES = 128  # kept while a head is read; the front door accepts fewer
MAX_MESSAGE_BYTES = 8 * 1024 * 1024  # the longest body, in chunks of one byte
MAX_DROPPED_BYTES = 32 * 1024 * 1024  # of a message that was answered before its end


class Messages(HttpToolsProtocol):
    """Parses requests, within limits.

    uvicorn itself accepts heads of any length, takes trailers of a chunked body as headers, and the
    body of a request that offers an upgrade as the next request.
    """

    scope: Any
    headers: Any
    cycle: Any  # the last request whose head has come; None once it is complete and answered
    flow: Any
    pipeline: Any

    # Slots: with more attributes, the dictionary of each instance would be large.
    __slots__ = ("_ignores_input", "_is_reading_head", "_received")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.pipeline = Waiting()

    def connection_made(self, transport: Any) -> None:
        # As in uvicorn, except that the transport is not asked for its socket: that would keep
        # memory for each connection, and yield the interpreter to other threads.
        self.connections.add(self)
        self.transport = transport
        self.flow = Flow(transport)
        self.server = _address(transport.get_extra_info("sockname"))
        self.client = _address(transport.get_extra_info("peername"))
        self.scheme = "http"
        self._is_reading_head = False
        self._received = 0  # bytes of the message that is read
        self._ignores_input = False  # what follows is not HTTP, or must not be answered

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_reading_head = True
        self._received = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        # A copy of uvicorn's code, because a call to it would cost more than the code itself.
        if self._is_reading_head:  # later it is a trailer, and no header (RFC 9110, section 6.5.1)
            name = name.lower()
            value = value.rstrip(b" \t")  # section 5.5
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            elif name == b"transfer-encoding" and value.lower() != b"chunked":
                # No other coding is decoded here, and another parser might see the end of the
                # body elsewhere: request smuggling (RFC 9112, section 6.1).
                raise ValueError
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        is_tunnel = False
        if self.parser.should_upgrade():
            is_tunnel = self.parser.get_method() == b"CONNECT"
            if not is_tunnel:
                return  # `parse` reads it again without the offer
        # The parser lets 0.9 and 2.0 pass, which are not HTTP/1.x (RFC 9110, section 2.5).
        version = self.parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            raise ValueError
        if version == "1.0":  # its clients know no interim answers (section 10.1.1)
            self.expect_100_continue = False
        self._is_reading_head = False
        if not self.url.startswith(b"/"):
            self.headers[:] = _with_host_of(self.url, self.headers)
        super().on_headers_complete()
        if is_tunnel:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        if not self._is_reading_head:  # it still is, at the end of a head that offers an upgrade
            self.cycle.more_body = False
            self.cycle.scope[WHOLE_KEY] = True
            self.cycle.message_event.set()

    def parse(self, data: bytes) -> None:
        """Parse these bytes, with a callback for each part of a message.

        Raises `BadRequest` for what is not HTTP, `HeadersTooLarge` and `BodyTooLarge`.
        """
        self._received += len(data)
        rest = data
        while rest:
            try:
                self.parser.feed_data(rest)
                break
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                self.logger.warning("Invalid HTTP request received.")
                raise BadRequest from error
            if not self._is_reading_head:
                self._ignores_input = True  # a CONNECT is refused, and what follows it is not HTTP
                return
            rest = self._head_without_upgrade() + rest
        if self._is_reading_head:
            if self._received > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADER_LINES:
                raise HeadersTooLarge
        elif self._received > MAX_MESSAGE_BYTES and not self._may_go_on():
            raise BodyTooLarge

    def _may_go_on(self) -> bool:
        """Whether a message may be longer than the longest: one that is answered already, and that
        may have ended just now."""
        is_answered = self.cycle is None or self.cycle.response_complete
        return is_answered and self._received <= MAX_DROPPED_BYTES

    def _head_without_upgrade(self) -> bytes:
        """The head that has just ended, to be parsed again as if no upgrade had been offered.

        An upgrade that is not made is ignored (RFC 9110, section 7.8). The parser cannot do that:
        it reads the request as one without a body, and the body as the next request.
        """
        start = (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [b"%b %b HTTP/%b" % start]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"\r\n".join([*lines, b"", b""])


class Flow:
    """uvicorn's FlowControl, except that reading is not resumed while `is_held`, and that there is
    an event only while somebody waits for it: each connection has a Flow, however idle it is.
    """

    __slots__ = ("_is_writable", "_transport", "is_held", "read_paused", "write_paused")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._is_writable: asyncio.Event | None = None
        self.is_held = False
        self.read_paused = False
        self.write_paused = False

    async def drain(self) -> None:
        if self.write_paused:
            if self._is_writable is None:
                self._is_writable = asyncio.Event()
            await self._is_writable.wait()

    def pause_reading(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self.read_paused and not self.is_held:
            self.read_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._is_writable is not None:
            self._is_writable.set()
            self._is_writable = None


class Waiting(list[Any]):
    """uvicorn's deque of pipelined requests, the next one last: an empty deque takes 600 bytes."""

    __slots__ = ()

    def appendleft(self, request: Any) -> None:
        self.insert(0, request)

    def popleft(self) -> Any:
        return self.pop(0)


def _address(name: Any) -> Any:
    """Host and port of a socket's name; the path of a Unix socket, None if it has none."""
    if isinstance(name, tuple):
        return name[0], name[1]
    return (name, None) if name else None


def _with_host_of(target: bytes, headers: Headers) -> Headers:
    """The headers, with their Host replaced by that of a target in absolute form (RFC 9112, section
    3.2.2). A request without a Host, or with two, is left as it is."""
    scheme, separator, rest = target.partition(b"://")
    hosts = [value for name, value in headers if name == b"host"]
    if not separator or len(hosts) != 1 or scheme.lower() not in {b"http", b"https"}:
        return headers
    authority = re.split(rb"[/?#]", rest, maxsplit=1)[0]
    return [(name, authority if name == b"host" else value) for name, value in headers]
