"""A receiver of OpenTelemetry traces: OTLP over HTTP, like a collector."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.kit.smtp import until


@dataclass
class Taken:
    """A received span, ids in hexadecimal; `resource` has the attributes of its sender."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    failed: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]
    text: str


@dataclass
class Receiver:
    """A receiver on a port of 127.0.0.1; `paths` and `headers` are those of its requests."""

    url: str
    spans: list[Taken] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    hangs: threading.Event | None = None
    refuses: bool = False

    def wait(self, operation: str, number: int = 1) -> list[Taken]:
        """Wait for so many spans of requests for an operation."""
        until(lambda: len(self._of(operation)) >= number)
        return self._of(operation)

    def within(self, span: Taken) -> list[Taken]:
        """The child spans of a span; they are complete once the span itself has arrived."""
        return [found for found in self.spans if found.parent_id == span.span_id]

    def _of(self, operation: str) -> list[Taken]:
        named = {f"{service}.operation" for service in ("byline", "planner")}
        return [
            span
            for span in self.spans
            if any(span.attributes.get(name) == operation for name in named)
        ]

    def take(self, body: bytes) -> None:
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _plain(sent.resource.attributes)
            for scope in sent.scope_spans:
                self.spans += [_taken(span, resource) for span in scope.spans]


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    """A receiver that runs until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taking.paths.append(self.path)
            taking.headers.append(dict(self.headers))
            if taking.hangs:
                taking.hangs.wait(60)
            if taking.refuses:
                self.send_error(400)
                return
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.headers["Content-Type"] == "application/x-protobuf"
            taking.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    class HttpServer(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with HttpServer(("127.0.0.1", port), Handler) as server:
        taking = Receiver(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield taking
        finally:
            if taking.hangs:
                taking.hangs.set()
            server.shutdown()


def _taken(span: Span, resource: dict[str, Any]) -> Taken:
    return Taken(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        failed=span.status.code == 2,
        attributes=_plain(span.attributes),
        resource=resource,
        text=str(span),
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}
