"""Traces that an OTLP receiver gets: what they contain, and what they must not contain."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from tests.kit import postgres
from tests.kit.otlp import Receiver, receiver
from tests.kit.planning import Planner, planning
from tests.kit.smtp import until

Serve = Callable[..., Planner]
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with receiver() as taking:
        yield taking


@pytest.fixture(params=["sqlite", "postgresql"])
def traced(request: pytest.FixtureRequest, serve: Serve, collector: Receiver) -> Planner:
    """A server that sends its traces to the collector, on each database."""
    own = {}
    if request.param == "postgresql":
        own["database_url"] = postgres.start().replace("postgresql://", "postgresql+psycopg://", 1)
    return serve(otel_exporter_otlp_endpoint=collector.url, **own)


def test_a_request_is_a_span_with_its_statements_in_it(
    traced: Planner, collector: Receiver
) -> None:
    anna = traced.sign_up()
    project = anna.project()["id"]
    anna.http.get(f"/projects/{project}")
    [span] = collector.wait("get_project")
    assert (span.name, span.kind, span.parent_id) == ("GET /projects/{project_id}", "server", "")
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/projects/{project_id}",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "planner.operation": "get_project",
    }
    assert (span.resource["service.name"], span.resource["service.version"]) == (
        "planner",
        "2.3.4",
    )
    [statement] = collector.within(span)
    assert (statement.name, statement.kind, statement.trace_id) == (
        "SELECT",
        "client",
        span.trace_id,
    )
    query = statement.attributes.pop("db.query.text")
    assert query.startswith("SELECT projects.id")
    assert project not in query
    system = "sqlite" if "sqlite" in traced.settings.database_url else "postgresql"
    assert statement.attributes == {"db.system.name": system, "db.operation.name": "SELECT"}
    assert set(collector.paths) == {"/v1/traces"}


def test_statements_made_on_the_way_are_traced_too(traced: Planner, collector: Receiver) -> None:
    anna = traced.sign_up()
    path = f"/projects/{anna.project()['id']}"
    answer = anna.http.patch(path, json={"name": "b"}, headers={"If-Match": "*"})
    assert answer.status_code == 200
    [span] = collector.wait("update_project")
    texts = [statement.attributes["db.query.text"] for statement in collector.within(span)]
    assert any(text.startswith("UPDATE projects SET") for text in texts)
    assert any(text.startswith("SELECT projects.id") for text in texts)


def test_a_request_continues_the_trace_it_is_part_of(traced: Planner, collector: Receiver) -> None:
    httpx.get(f"{traced.url}/projects", headers=TRACEPARENT)
    [span] = collector.wait("list_projects")
    assert (span.trace_id, span.parent_id) == (TRACE, PARENT)
    assert {s.trace_id for s in collector.within(span)} == {TRACE}


def test_a_trace_that_the_caller_does_not_record_is_not_recorded(
    serve: Serve, collector: Receiver
) -> None:
    server = serve(otel_exporter_otlp_endpoint=collector.url)
    httpx.get(f"{server.url}/projects", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    httpx.get(f"{server.url}/health/live")
    collector.wait("get_liveness")
    assert TRACE not in {span.trace_id for span in collector.spans}


def test_a_span_contains_no_secret_and_no_user(traced: Planner, collector: Receiver) -> None:
    secret = "hush-7f3a"
    anna = traced.sign_up(secret)
    anna.http.get("/tasks", params={"q": secret})
    anna.http.get(f"/{secret}", headers={"User-Agent": secret, "Cookie": secret})
    anna.http.post("/projects", json={"name": secret, "notes": secret})
    anna.http.get("/projects", params={"owner_id": anna.id})
    anna.http.request("PROPFIND", "/")
    until(lambda: sum(span.kind == "server" for span in collector.spans) == 6)
    for span in collector.spans:
        for personal in (secret, anna.id, "127.0.0.1", anna.tokens["access_token"]):
            assert personal not in span.text
    assert {"GET", "HTTP"} <= {s.name for s in collector.spans if "http.route" not in s.attributes}


def test_a_span_of_a_failed_request_is_marked(serve: Serve, collector: Receiver) -> None:
    server = serve(otel_exporter_otlp_endpoint=collector.url)
    httpx.get(f"{server.url}/projects?limit=0")
    server.execute(sa.text("ALTER TABLE projects RENAME TO gone"))
    assert httpx.get(f"{server.url}/projects").status_code >= 500
    refused, failed = collector.wait("list_projects", 2)
    assert (refused.failed, refused.attributes["http.response.status_code"]) == (False, 400)
    assert "error.type" not in refused.attributes
    assert failed.failed
    assert failed.attributes["error.type"] == str(failed.attributes["http.response.status_code"])
    [statement] = collector.within(failed)
    assert statement.failed
    # As the drivers of SQLite and of PostgreSQL call a table that is missing.
    assert statement.attributes["error.type"] in {"OperationalError", "UndefinedTable"}


def test_the_log_names_the_span(
    serve: Serve, collector: Receiver, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    server = serve(otel_exporter_otlp_endpoint=collector.url, log_level="INFO")
    httpx.get(f"{server.url}/projects", headers=TRACEPARENT)
    [span] = collector.wait("list_projects")
    line = json.loads(capsysbinary.readouterr().err.splitlines()[0])
    assert (line["trace_id"], line["span_id"]) == (TRACE, span.span_id)


def test_the_environment_of_opentelemetry_holds(
    serve: Serve, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "the-blog")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    server = serve(otel_exporter_otlp_endpoint=f"{collector.url}/")
    httpx.get(f"{server.url}/projects")
    [span] = collector.wait("list_projects")
    assert span.resource["service.name"] == "the-blog"
    assert span.resource["deployment.environment.name"] == "test"
    assert {
        headers.get("X-Tenant") or headers.get("x-tenant") for headers in collector.headers
    } == {"blue"}
    assert {headers["Content-Encoding"] for headers in collector.headers} == {"gzip"}


def test_headers_that_cannot_be_read_are_not_logged(
    serve: Serve,
    collector: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization: Bearer hunter2")
    serve(otel_exporter_otlp_endpoint=collector.url)
    assert "Header format invalid" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_sampler_that_drops_all_traces_sends_nothing(
    serve: Serve, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    off = serve(otel_exporter_otlp_endpoint=collector.url)
    httpx.get(f"{off.url}/projects")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    on = serve(otel_exporter_otlp_endpoint=collector.url)
    httpx.get(f"{on.url}/health/live")
    collector.wait("get_liveness")
    assert {s.attributes.get("planner.operation") for s in collector.spans} == {"get_liveness"}


@pytest.mark.parametrize("how", ["refusing", "hanging"])
def test_a_failing_trace_receiver_logs_a_line_and_fails_no_request(
    serve: Serve, collector: Receiver, how: str, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    collector.refuses = how == "refusing"
    collector.hangs = threading.Event() if how == "hanging" else None
    server = serve(otel_exporter_otlp_endpoint=collector.url)

    def was_told_of() -> list[str]:
        answer = httpx.get(f"{server.url}/projects")
        assert answer.status_code == 200
        assert answer.elapsed.total_seconds() < 2
        return [r.getMessage() for r in caplog.records if "traces" in r.getMessage()]

    until(lambda: was_told_of() and len(collector.paths) > 3)
    assert was_told_of() == ["traces are lost: their receiver does not accept them"]
    collector.refuses = False
    if collector.hangs:
        collector.hangs.set()
    until(lambda: was_told_of()[1:] == ["traces are accepted again"])
    assert collector.spans


def test_without_a_receiver_requests_are_answered(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    server = serve(otel_exporter_otlp_endpoint="http://127.0.0.1:1")
    until(lambda: httpx.get(f"{server.url}/projects") and "traces are lost" in caplog.text)
    assert httpx.get(f"{server.url}/projects").status_code == 200


def test_a_hanging_trace_receiver_does_not_delay_shutdown(
    serve: Serve, collector: Receiver
) -> None:
    collector.hangs = threading.Event()
    folder = serve(otel_exporter_otlp_endpoint=collector.url).settings.jwt_keys_dir.parent
    with planning(folder, otel_exporter_otlp_endpoint=collector.url) as server:
        for _ in range(20):
            httpx.get(f"{server.url}/projects")
        began = time.monotonic()
    assert time.monotonic() - began < 8


def test_spans_are_sent_before_the_end(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    with receiver() as taking:
        folder = serve().settings.jwt_keys_dir.parent
        with planning(folder, otel_exporter_otlp_endpoint=taking.url) as server:
            httpx.get(f"{server.url}/projects")
        assert taking.wait("list_projects")
