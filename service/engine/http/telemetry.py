"""One log line and the metrics for every answer to what is HTTP, and the headers all have."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from service.engine.http.log_output import LogHandler, output_of
from service.engine.observe.metrics import Metrics
from service.engine.request import SCOPE_KEY, Headers, Request, current_request

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
        if request := current_request.get(None):
            line |= {"request_id": request.request_id, "operation": request.operation}
        return orjson.dumps(line | trace, option=orjson.OPT_UTC_Z).decode()


class Telemetry:
    """The outermost layer: makes the Request, completes the headers of every answer and logs it."""

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
        request = scope[SCOPE_KEY] = Request(scope)
        bodiless = request.method == "HEAD"
        if self._tracing:
            self._tracing.begin(request, scope)

        async def complete(message: Any) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                message["headers"] = [*message["headers"], *_common(request)]
            elif bodiless:
                message = {**message, "body": b""}
            await send(message)

        self._metrics.in_flight += 1
        try:
            await self.app(scope, receive, complete)
        finally:
            self._metrics.in_flight -= 1
            seconds = time.perf_counter() - request.started
            # 499: the client was gone before there was an answer.
            self._metrics.observe(request.operation or "none", request.status or 499, seconds)
            if self._tracing:
                self._tracing.end(request)
            if self._logs:
                if not self._tracing:
                    request.trace_id = _trace_of(scope["headers"])
                self._log(self._line(request, seconds))

    def _log(self, line: bytes) -> None:
        """Write the line with those of the other answers of this moment: a write costs 8 us."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        self._lines.append(line)

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        self._out.write(b"".join(lines))


def _common(request: Request) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-request-id", request.request_id.encode()), _NO_SNIFFING]
    if len(request.limits) == 1:
        [(policies, states)] = request.limits
    elif request.limits:
        policies, states = map(", ".join, zip(*request.limits, strict=True))
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


def _json(request: Request, seconds: float) -> bytes:
    """The line without query string, headers or body: secrets travel there."""
    return orjson.dumps(
        {
            "time": datetime.now(UTC),
            "level": "info",
            "event": "request",
            "request_id": request.request_id,
            "trace_id": request.trace_id,
            **({"span_id": request.span_id} if request.span_id else {}),
            "method": request.method,
            "operation": request.operation or None,
            "status": request.status or 499,
            "ms": round(seconds * 1000, 2),
            "client": request.ip,
            "user": (request.claims.subject or None) if request.claims else None,
        },
        option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE,
    )


def _text(request: Request, seconds: float) -> bytes:
    what = request.operation or "-"
    line = f"{request.status or 499} {request.method:7} {what:24} {seconds * 1000:8.1f} ms"
    return f"{line}  {request.ip}\n".encode()
