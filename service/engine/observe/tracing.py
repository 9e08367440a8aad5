"""Traces by OpenTelemetry, sent over OTLP: a span for each request and each statement in it.

Imported only where an endpoint is set. The standard `OTEL_` variables of the environment hold, for
the SDK reads them. A span has no path, query, parameter, address or user: nothing personal.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import flask
import sqlalchemy as sa
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.engine.database.transaction import Check, Transaction
from service.engine.request import Request, current_request
from service.engine.spec.specification import Specification

logger = logging.getLogger(__name__)

FLUSH_TIMEOUT_SECONDS = 3.0  # a stop waits this long for the last spans to be sent
# https://opentelemetry.io/docs/specs/semconv/http/http-spans/: any other is _OTHER.
_METHODS = {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
_propagator = TraceContextTextMapPropagator()


class Tracing:
    """The traces of one application."""

    def __init__(self, app: flask.Flask, endpoint: str, specification: Specification) -> None:
        for name in ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # `_Exporter` says it once
        logging.getLogger("opentelemetry.util.re").addFilter(_without_headers)
        self._routes = specification.routes
        self._operation = f"{specification.name}.operation"
        self._provider = TracerProvider(resource=_resource(specification), shutdown_on_exit=False)
        exporter = _Exporter(f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(specification.name, specification.version)
        databases = app.extensions["databases"]
        for name, access in databases.items():
            databases[name] = access._replace(kind=_TracedTransaction)
            sa.event.listen(access.engine, "before_cursor_execute", _before)
            sa.event.listen(access.engine, "after_cursor_execute", _after)
            sa.event.listen(access.engine, "handle_error", _failed)
        app.extensions["tracer"] = self._tracer

    def begin(self, request: Request, scope: dict[str, Any]) -> None:
        """Begin the span of a request, in the trace that it says it is part of."""
        carrier = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in {b"traceparent", b"tracestate"}
        }
        method = request.method if request.method in _METHODS else "_OTHER"
        request.span = self._tracer.start_span(
            _method(method),
            _propagator.extract(carrier),
            SpanKind.SERVER,
            {
                "http.request.method": method,
                "url.scheme": request.scheme,
                "network.protocol.version": scope.get("http_version", "1.1"),
            },
        )
        context = request.span.get_span_context()
        if context.is_valid:
            request.trace_id = trace.format_trace_id(context.trace_id)
            request.span_id = trace.format_span_id(context.span_id)

    def end(self, request: Request) -> None:
        """End the span of a request, which by now has a name."""
        span: Span = request.span
        if span.is_recording():
            if request.operation:
                span.set_attribute(self._operation, request.operation)
            if route := self._routes.get(request.operation):
                span.update_name(f"{_method(request.method)} {route}")
                span.set_attribute("http.route", route)
            if request.status:
                span.set_attribute("http.response.status_code", request.status)
            if request.status >= 500 or not request.status:
                span.set_attribute("error.type", str(request.status or "disconnected"))
                span.set_status(StatusCode.ERROR)
        span.end()

    def close(self) -> None:
        """Send what is left, if the receiver takes it soon."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(FLUSH_TIMEOUT_SECONDS)


class _Exporter(OTLPSpanExporter):
    """Says once that the receiver has gone, and once that it is back."""

    _is_down = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self._is_down:
            logger.warning("traces are lost: their receiver does not accept them")
        if self._is_down and not failed:
            logger.warning("traces are accepted again")
        self._is_down = failed
        return result


class _TracedTransaction(Transaction):
    __slots__ = ()

    def execute_later(self, sql: Any, parameters: Any, check: Check | None = None) -> None:
        rowcount = self.execute(sql, parameters).rowcount  # at once, for a span of its own
        if check:
            check(rowcount)

    def _execute(self, sql: Any, parameters: Any, reads: bool) -> Any:
        with _statement(self.dialect.name, str(sql)):
            return super()._execute(sql, parameters, reads)


@contextmanager
def _statement(system: str, sql: str) -> Iterator[None]:
    span = _begun(system, sql)
    try:
        yield
    except Exception as error:
        _end(span, error)
        raise
    _end(span, None)


def _begun(system: str, sql: str) -> Span | None:
    """A span within that of the request; what no request asks for has none."""
    request = current_request.get(None)
    if request is None or request.span is None or not request.span.is_recording():
        return None
    tracer: trace.Tracer = flask.current_app.extensions["tracer"]
    operation = sql.lstrip("( \n").partition(" ")[0].upper()
    attributes = {
        "db.system.name": system,
        "db.operation.name": operation,
        "db.query.text": sql,
    }
    context = trace.set_span_in_context(request.span)
    return tracer.start_span(operation, context, SpanKind.CLIENT, attributes)


def _end(span: Span | None, error: BaseException | None) -> None:
    if span is None:
        return
    if error is not None:  # its text may contain data
        span.set_attribute("error.type", type(error).__qualname__)
        if state := getattr(error, "sqlstate", None):
            span.set_attribute("db.response.status_code", state)
        span.set_status(StatusCode.ERROR)
    span.end()


def _before(connection: Any, _cursor: Any, sql: str, _values: Any, context: Any, _: Any) -> None:
    context.span = _begun(connection.dialect.name, sql)


def _after(_: Any, _cursor: Any, _sql: str, _values: Any, context: Any, _many: Any) -> None:
    _end(context.span, None)


def _failed(context: sa.engine.ExceptionContext) -> None:
    execution: Any = context.execution_context
    _end(getattr(execution, "span", None), context.original_exception)


def _without_headers(record: logging.LogRecord) -> bool:
    """Take out what OTEL_EXPORTER_OTLP_HEADERS has: it may be the key of the receiver."""
    record.args = ("(not shown)",)
    return True


def _method(method: str) -> str:
    return method if method in _METHODS else "HTTP"


def _resource(specification: Specification) -> Resource:
    """What the environment says of this service, and its name where it says none."""
    resource = Resource.create({"service.version": specification.version})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": specification.name}))
    return resource
