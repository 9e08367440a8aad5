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

from tests.kit import postgres
from tests.kit.commands import PASSWORD, run, serving
from tests.kit.exports import connected, in_flight, request, rest, wait_until

POSTS = 60
SMALL = 65536  # bytes of a receive buffer
CONTENT = "x" * 100_000


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    own = {"RATE_LIMIT_ENABLED": "false"}
    if request.param == "postgresql":
        own["DATABASE_URL"] = postgres.start()
        assert run(tmp_path, "keys", "generate").returncode == 0
    return own


@contextmanager
def author(url: str) -> Iterator[httpx.Client]:
    """Somebody with six megabytes of posts."""
    with httpx.Client(base_url=url, timeout=60) as client:
        account = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD}
        assert client.post("/auth/register", json=account).status_code == 201
        token = client.post("/auth/login", json=account).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        for _ in range(POSTS):
            post = {"title": "A title", "content": CONTENT}
            assert client.post("/api/posts", json=post).status_code == 201
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
    assert body.count(b'{"type":"post"') == POSTS
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
