"""One log line and the metrics for every answer to what is HTTP, and the headers all have."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import flask
import orjson

from service.engine.call import KEY, Call, Headers
from service.engine.http.log_output import LogHandler, output_of
from service.engine.observe.metrics import Metrics

if TYPE_CHECKING:
    from service.engine.observe.tracing import Tracing

_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_OURS = __name__.partition(".")[0]  # the loggers of the service are named after its modules
_TEXT = "%(levelname)s: %(message)s"
# W3C Trace Context, section 3.2: versions after 00 may have more at the end, and there is no ff.
_TRACEPARENT = re.compile(
    rb"(?!ff)(?!00.{53}-)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})"
    rb"-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)


def set_up_logging(level: str, style: str) -> None:
    """Send what this service and uvicorn log to standard error, as `json` lines or as `text`."""
    handler = LogHandler(output_of(sys.stderr))
    handler.setFormatter(_JsonLines() if style == "json" else logging.Formatter(_TEXT))
    logging.getLogger().handlers = [handler]
    for name in (_OURS, "uvicorn"):
        logging.getLogger(name).setLevel(level)
    logging.getLogger("uvicorn.error").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether uvicorn says what is not logged yet: why an answer was cut off is, and so is that a
    shutdown does not wait any longer."""
    cancelled = record.exc_info and record.exc_info[0] is asyncio.CancelledError
    return not cancelled and record.msg != "ASGI callable returned without completing response."


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        trace = {"traceback": self.formatException(record.exc_info)} if record.exc_info else {}
        line = {
            "time": datetime.now(UTC),
            "level": record.levelname.lower(),
            "event": "log",
            "message": record.getMessage(),
        }
        if flask.has_request_context():
            call: Call = flask.request.environ[KEY]
            line |= {"request_id": call.request_id, "operation": call.operation}
        return orjson.dumps(line | trace, option=orjson.OPT_UTC_Z).decode()


class Telemetry:
    """The outermost layer: makes the Call, completes every answer's headers and writes it down."""

    def __init__(
        self,
        app: Any,
        *,
        metrics: Metrics,
        tracing: Tracing | None,
        log_level: str,
        log_format: str,
    ) -> None:
        self.app = app
        self._metrics = metrics
        self._tracing = tracing
        self._logs = log_level in {"DEBUG", "INFO"}
        self._line = _text if log_format == "text" else _json
        self._out = output_of(sys.stderr)
        metrics.ask(self._out.readings)
        self._lines: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        call = scope[KEY] = Call(scope)
        bodiless = call.method == "HEAD"
        if self._tracing:
            self._tracing.begin(call, scope)

        async def complete(message: Any) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                message["headers"] = [*message["headers"], *_common(call)]
            elif bodiless:
                message = {**message, "body": b""}
            await send(message)

        self._metrics.in_flight += 1
        try:
            await self.app(scope, receive, complete)
        finally:
            self._metrics.in_flight -= 1
            seconds = time.perf_counter() - call.started
            # 499: the client was gone before there was an answer.
            self._metrics.observe(call.operation or "none", call.status or 499, seconds)
            if self._tracing:
                self._tracing.end(call)
            if self._logs:
                if not self._tracing:
                    call.trace_id = _trace_of(scope["headers"])
                self._log(self._line(call, seconds))

    def _log(self, line: bytes) -> None:
        """Write the line with those of the other answers of this moment: a write costs 8 us."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        self._lines.append(line)

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        self._out.write(b"".join(lines))


def _common(call: Call) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-request-id", call.request_id.encode()), _NO_SNIFFING]
    if len(call.limits) == 1:
        [(policies, states)] = call.limits
    elif call.limits:
        policies, states = map(", ".join, zip(*call.limits, strict=True))
    else:
        return headers
    headers.append((b"ratelimit-policy", policies.encode()))
    headers.append((b"ratelimit", states.encode()))
    return headers


def _trace_of(headers: Headers) -> str | None:
    """The trace that the request says it is part of."""
    for name, value in headers:
        if name == b"traceparent":
            found = _TRACEPARENT.fullmatch(value)
            return found[1].decode() if found else None
    return None


def _json(call: Call, seconds: float) -> bytes:
    """The line without query string, headers or body: secrets travel there."""
    return orjson.dumps(
        {
            "time": datetime.now(UTC),
            "level": "info",
            "event": "request",
            "request_id": call.request_id,
            "trace_id": call.trace_id,
            **({"span_id": call.span_id} if call.span_id else {}),
            "method": call.method,
            "operation": call.operation or None,
            "status": call.status or 499,
            "ms": round(seconds * 1000, 2),
            "client": call.ip,
            "user": call.claims.subject if call.claims else None,
        },
        option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE,
    )


def _text(call: Call, seconds: float) -> bytes:
    what = call.operation or "-"
    line = f"{call.status or 499} {call.method:7} {what:24} {seconds * 1000:8.1f} ms  {call.ip}\n"
    return line.encode()
