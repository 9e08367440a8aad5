"""Exports from a real process: during shutdown, and their log lines."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from service.engine.ids import new_id
from service.models import AuditEvent
from tests.kit import postgres
from tests.kit.commands import PASSWORD, execute, run, serving
from tests.kit.exports import connected, in_flight, request, rest, wait_until

EVENTS = 25_000
SMALL = 65536  # bytes of a receive buffer


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    own = {"RATE_LIMIT_ENABLED": "false", "DATABASE_URL": f"sqlite:///{tmp_path}/byline.db"}
    if request.param == "postgresql":
        own["DATABASE_URL"] = postgres.start()
        assert run(tmp_path, "keys", "generate").returncode == 0
    monkeypatch.setenv("DATABASE_URL", own["DATABASE_URL"])
    return own


@contextmanager
def author(url: str) -> Iterator[httpx.Client]:
    """Somebody with six megabytes of events."""
    with httpx.Client(base_url=url, timeout=60) as client:
        account = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD}
        registered = client.post("/auth/register", json=account)
        assert registered.status_code == 201
        token = client.post("/auth/login", json=account).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        event = {"action": "login", "user_id": registered.json()["id"], "ip": "127.0.0.1"}
        for _ in range(EVENTS // 5000):
            events = [{"id": new_id(), **event} for _ in range(5000)]
            execute(sa.insert(AuditEvent), rows=events)
        yield client


def test_a_server_that_shuts_down_finishes_exports(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    def ends(url: str) -> bool:
        try:
            httpx.get(f"{url}/health/live")
        except httpx.ConnectError:
            return True
        return False

    def read_on() -> bytes:
        wait_until(lambda: ends(url), "the server goes on")
        return rest(connection)

    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(1))
        with serving(tmp_path, **settings) as url:
            with author(url) as http:
                data = request(http)
            connection = stack.enter_context(connected(url, data, SMALL))
            assert connection.recv(12) == b"HTTP/1.1 200"
            reading = threads.submit(read_on)
        body = reading.result()
    assert body.count(b'"action":"login"') == EVENTS + 1
    assert body.endswith(b"\r\n0\r\n\r\n")


def test_a_disconnected_client_is_not_logged_and_an_ended_session_is_one_line(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    with serving(tmp_path, **settings) as url, author(url) as http:
        first, live = request(http), request(http, target="GET /health/live")
        for data in (first, first + live, first + first):
            with connected(url, data, SMALL) as connection:
                assert connection.recv(12) == b"HTTP/1.1 200"
        wait_until(lambda: in_flight(url) == 0, "it is sent to nobody")
        named = request(http, "X-Request-Id: the-one")
        with connected(url, named, SMALL) as connection:
            assert connection.recv(12) == b"HTTP/1.1 200"
            assert http.post("/auth/logout").status_code == 204
            assert not rest(connection).endswith(b"\r\n0\r\n\r\n")
    banner, _, log = (tmp_path / "serve.log").read_text().partition("SMTP_URL is set\n")
    assert banner.startswith("Byline ")
    [line] = map(json.loads, log.splitlines())
    assert line["level"] == "warning"
    assert line["message"] == "request the-one was cut off: session-revoked"
