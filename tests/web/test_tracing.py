"""Traces of the example hide its users (what traces say is in engine/test_tracing)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.kit import commands, postgres
from tests.kit.otlp import Receiver, receiver
from tests.kit.serving import PASSWORD, Server
from tests.kit.smtp import until

Serve = Callable[..., Server]
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with receiver() as taking:
        yield taking


@pytest.fixture(params=["sqlite", "postgresql"])
def traced(request: pytest.FixtureRequest, serve: Serve, collector: Receiver) -> Server:
    """A server that sends its traces to the collector, on each database."""
    own = {}
    if request.param == "postgresql":
        own["database_url"] = postgres.start().replace("postgresql://", "postgresql+psycopg://", 1)
    return serve(otel_exporter_otlp_endpoint=collector.url, **own)


def test_a_span_contains_no_secret_and_no_user(traced: Server, collector: Receiver) -> None:
    secret = "hush-7f3a"
    anna = traced.sign_up(email=f"{secret}@example.com", password=f"{secret} {secret}")
    anna.http.get("/api/users", params={"username": secret})
    anna.http.get(f"/{secret}", headers={"User-Agent": secret, "Cookie": secret})
    change = {"bio": secret}
    anna.http.patch(f"/api/users/{anna.id}", json=change, headers={"If-Match": "*"})
    anna.http.get(f"/api/users/{anna.id}")
    anna.http.request("PROPFIND", "/")
    with traced.client() as client:
        client.post("/auth/register", json={"email": anna.email, "password": PASSWORD})
    collector.wait("register", 2)
    until(lambda: sum(span.kind == "server" for span in collector.spans) == 8)
    for span in collector.spans:
        for personal in (secret, anna.id, "127.0.0.1", anna.tokens["access_token"]):
            assert personal not in span.text
    assert {"GET", "HTTP"} <= {s.name for s in collector.spans if "http.route" not in s.attributes}


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_BSP_SCHEDULE_DELAY", "-7070"), ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "hunter2")],
)
def test_a_bad_variable_of_opentelemetry_is_one_line(tmp_path: Any, name: str, value: str) -> None:
    commands.run(tmp_path, "db", "upgrade")
    settings = {name: value, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    ended = commands.run(tmp_path, "serve", "--port", "0", **settings)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "OTEL_" in ended.stderr
    assert value not in ended.stderr
