"""One log line and the metrics for every answer to what is HTTP, and the headers all have."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from service.web.call import KEY, Call

_TEXT = "%(levelname)s: %(message)s"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def set_up_logging(level: str, style: str) -> None:
    """Send what this service and uvicorn log to standard error, as `json` lines or as `text`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if style == "json" else logging.Formatter(_TEXT))
    logging.getLogger().handlers = [handler]
    for name in ("byline", "uvicorn"):
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
        return orjson.dumps(line | trace, option=orjson.OPT_UTC_Z).decode()


class Metrics:
    """The Prometheus metrics of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.in_flight = Gauge(
            "byline_requests_in_flight", "Requests being answered", registry=self.registry
        )
        self.store_failures = Counter(
            "byline_limiter_store_failures_total",
            "Times that the rate limits' store did not answer",
            registry=self.registry,
        )
        self.mails = Counter(
            "byline_mails_total",
            "Tries to hand over a mail, by outcome: sent, deferred or dropped",
            ["outcome"],
            registry=self.registry,
        )
        self._requests = Counter(
            "byline_requests_total",
            "Requests by operation and status",
            ["operation", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "byline_request_seconds",
            "Time to answer by operation",
            ["operation"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def observe(self, operation: str, status: int, seconds: float) -> None:
        children = self._children.get((operation, status))
        if children is None:
            children = (
                self._requests.labels(operation, str(status)),
                self._seconds.labels(operation),
            )
            self._children[operation, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def text(self) -> bytes:
        """All metrics in the Prometheus text format, version 0.0.4."""
        return generate_latest(self.registry)


class Telemetry:
    """The outermost layer: makes the Call, completes every answer's headers and writes it down."""

    def __init__(self, app: Any, *, metrics: Metrics, log_level: str, log_format: str) -> None:
        self.app = app
        self._metrics = metrics
        self._logs = log_level in {"DEBUG", "INFO"}
        self._line = _text if log_format == "text" else _json
        self._out = sys.stderr.buffer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        call = scope[KEY] = Call(scope)
        bodiless = call.method == "HEAD"

        async def complete(message: Any) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                message["headers"] = [*message["headers"], *_common(call)]
            elif bodiless:
                message = {**message, "body": b""}
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self.app(scope, receive, complete)
        finally:
            self._metrics.in_flight.dec()
            seconds = time.perf_counter() - call.started
            # 499: the client was gone before there was an answer.
            self._metrics.observe(call.operation or "none", call.status or 499, seconds)
            if self._logs:
                self._out.write(self._line(call, seconds))
                self._out.flush()


def _common(call: Call) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"x-request-id", call.request_id.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    if call.limits:
        policies, states = zip(*call.limits, strict=True)
        headers.append((b"ratelimit-policy", ", ".join(policies).encode()))
        headers.append((b"ratelimit", ", ".join(states).encode()))
    return headers


def _json(call: Call, seconds: float) -> bytes:
    """The line without query string, headers or body: secrets travel there."""
    return orjson.dumps(
        {
            "time": datetime.now(UTC),
            "level": "info",
            "event": "request",
            "request_id": call.request_id,
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
