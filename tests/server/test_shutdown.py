"""A server that shuts down says so first, and loses no request."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx
import pytest

from tests.kit.busy_clients import GET, answer, busy, connect, kept, one_by_one, refuses
from tests.kit.processes import Byline, sign_up
from tests.kit.smtp import until
from tests.server.conftest import Start

ENDLESS = "300"  # seconds that no test waits
SLOW_POST = b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

each_number = pytest.mark.parametrize("workers", ["1", "2"])


def ended(byline: Byline, timeout: float = 60) -> bool:
    """Whether it ends in time, and well."""
    return byline.process.wait(timeout) in {0, -signal.SIGTERM, -signal.SIGINT}


def told(byline: Byline) -> None:
    """Tell it to end, and wait until every worker has heard."""
    byline.terminate()
    until(lambda: [byline.status("/health/ready") for _ in range(8)] == [503] * 8)


@each_number
def test_the_server_reports_not_ready_before_it_stops_answering(start: Start, workers: str) -> None:
    byline = start(WORKERS=workers, SHUTDOWN_DELAY=ENDLESS)
    told(byline)
    probe = byline.get("/health/ready")
    assert probe.headers["Content-Type"] == "application/problem+json"
    assert probe.json()["detail"] == "The server is shutting down."
    assert int(probe.headers["Retry-After"]) >= 1
    live, post = byline.get("/health/live"), httpx.post(f"{byline.url}/auth/login", json={})
    assert (live.status_code, post.status_code) == (200, 400)
    for last in (probe, live, post):
        assert last.headers.get_list("Connection") == ["close"]
    byline.terminate()  # which ends the delay
    assert ended(byline)


def test_the_date_goes_on(start: Start) -> None:
    byline = start(SHUTDOWN_DELAY=ENDLESS)
    told(byline)
    first = byline.get("/health/live").headers["Date"]
    until(lambda: byline.get("/health/live").headers["Date"] != first)
    date = parsedate_to_datetime(byline.get("/health/live").headers["Date"]).timestamp()
    assert abs(date - time.time()) < 10


@each_number
def test_an_interrupt_does_not_wait(start: Start, workers: str) -> None:
    byline = start(WORKERS=workers, SHUTDOWN_DELAY=ENDLESS)
    byline.process.send_signal(signal.SIGINT)
    assert ended(byline)


@each_number
def test_requests_in_flight_are_answered_after_the_socket_has_closed(
    start: Start, workers: str
) -> None:
    byline = start(WORKERS=workers, SHUTDOWN_DELAY="1")
    with connect(byline.port) as in_body, connect(byline.port) as in_head:
        in_body.sendall(SLOW_POST + b"Content-Length: 2\r\n\r\n{")
        in_head.sendall(GET[:20])
        byline.get("/health/live")  # which comes behind them
        byline.terminate()
        until(lambda: refuses(byline.port))
        assert byline.process.poll() is None
        in_head.sendall(GET[20:])
        in_body.sendall(b"}")
        for connection, status in ((in_head, 200), (in_body, 400)):
            response = answer(connection)
            assert (response.status, response.getheader("Connection")) == (status, "close")
            assert connection.recv(1) == b""
    assert ended(byline)


@each_number
def test_the_server_shuts_down_in_time_whatever_its_clients_do(
    start: Start, patched: Callable[[str], None], workers: str
) -> None:
    patched(
        "from service.engine.serve import server; server.UVICORN['timeout_graceful_shutdown'] = 2"
    )
    byline = start(WORKERS=workers)
    anna = sign_up(byline.url)
    post = {"title": "Long", "content": "x" * 20_000}
    with httpx.Client(base_url=byline.url, headers=anna.bearer, timeout=60) as client:
        for _ in range(100):
            assert client.post("/api/posts", json=post).status_code == 201
    with connect(byline.port) as stuck, connect(byline.port) as reader:
        stuck.sendall(SLOW_POST + b"Content-Length: 2\r\n\r\n{")
        bearer = f"Authorization: {anna.bearer['Authorization']}\r\n".encode()
        reader.sendall(b"GET /auth/export HTTP/1.1\r\nHost: localhost\r\n" + bearer + b"\r\n")
        assert reader.recv(12) == b"HTTP/1.1 200"  # and no more than that
        byline.terminate()
        assert ended(byline, timeout=20)


@each_number
@pytest.mark.parametrize("delay", ["0", "1"])
def test_no_queued_connection_is_reset_at_shutdown(start: Start, workers: str, delay: str) -> None:
    byline = start(WORKERS=workers, SHUTDOWN_DELAY=delay)
    with busy(byline.port, one_by_one) as outcomes:
        until(lambda: outcomes["answered"] > 100)
        byline.terminate()
        assert ended(byline)
        until(lambda: outcomes["refused"] > 10)
    assert outcomes.keys() == {"answered", "refused"}


@each_number
def test_kept_connections_get_connection_close_before_they_are_closed(
    start: Start, workers: str
) -> None:
    byline = start(WORKERS=workers, SHUTDOWN_DELAY="3")
    with busy(byline.port, kept) as outcomes:
        until(lambda: byline.status("/health/live") == 200)
        byline.terminate()
        assert ended(byline)
        until(lambda: outcomes["refused"] > 10)
    assert outcomes.keys() == {"answered", "refused"}
