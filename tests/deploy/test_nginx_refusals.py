"""What nginx refuses or cannot pass on, it answers as the service would."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx
import pytest

from tests.kit import exports, raw
from tests.kit.ports import free_port
from tests.kit.proxy import nginx
from tests.kit.smtp import until

MEGABYTE = 1024 * 1024
BEARER = "Authorization: Bearer {token}"


@contextmanager
def silent() -> Iterator[tuple[int, list[bytes]]]:
    """A port that takes requests and never answers, and what it has been sent."""
    heard: list[bytes] = []
    kept: list[socket.socket] = []

    def listen() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            kept.append(connection)
            heard.append(connection.recv(65536))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()


@raw.table(
    {
        "a large body": (raw.post(b" " * (MEGABYTE + 1)), (413, "body-too-large")),
        "a large body in chunks": (
            raw.chunked(*[b" " * 65536] * 17),
            (413, "body-too-large"),
        ),
        "a long target": (raw.get("/api/users?q=" + "x" * 40_000), (431, "headers-too-large")),
        "a long header": (
            raw.get("/api/users", "X-Long: " + "x" * 40_000),
            (431, "headers-too-large"),
        ),
        "long headers": (
            raw.get("/api/users", *(f"X-{n}: " + "x" * 30_000 for n in range(2))),
            (431, "headers-too-large"),
        ),
        "no HTTP": (b"Hello?\r\n\r\n", (400, "bad-request")),
        "no host": (raw.get("/api/users", host=None), (400, "bad-request")),
        "two hosts": (raw.get("/api/users", "Host: evil.example"), (400, "bad-request")),
        "a strange host": (raw.get("/api/users", host="evil.example"), (400, "host-not-allowed")),
        "a length and chunks": (
            raw.post(b"0\r\n\r\n", "Transfer-Encoding: chunked"),
            (400, "bad-request"),
        ),
        "two lengths": (raw.post(b"{}", "Content-Length: 3"), (400, "bad-request")),
        "an unknown coding": (
            raw.post(None, "Transfer-Encoding: gzip, chunked"),
            (400, "bad-request"),
        ),
        "two tokens": (raw.get("/auth/me", BEARER, BEARER), (400, "bad-request")),
        "TRACE": (raw.request("TRACE", "/api/users"), (405, "method-not-allowed")),
        "a null in the path": (raw.get("/api/users/%00"), (400, "bad-request")),
    }
)
def test_a_request_beyond_the_limits_is_refused(site, reader, data, expected):
    answer = raw.exchange(site.proxy.url, data, reader.tokens["access_token"])

    raw.check(answer)
    assert (answer.status, answer.code) == expected, answer.body
    assert httpx.get(f"{site.proxy.url}/health/live").status_code == 200


@raw.table(
    {
        "a target": (raw.get("/api/users?limit=1&" + "x" * 32_000), (400, "invalid-request")),
        "a header": (raw.get("/health/live", "X-Long: " + "x" * 32_000), (200, None)),
        "a body": (raw.post(b" " * MEGABYTE, target="/nowhere"), (404, "not-found")),
    }
)
def test_a_request_just_within_the_limits_reaches_the_service(site, reader, data, expected):
    answer = raw.exchange(site.proxy.url, data, reader.tokens["access_token"])

    assert (answer.status, answer.code) == expected, answer.body


def test_a_header_with_an_underscore_does_not_reach_the_service(site):
    answer = raw.exchange(site.proxy.url, raw.get("/health/live", "X_Forwarded_For: 10.0.0.1"))

    assert answer.status == 200


def test_without_a_server_nginx_answers_503_with_retry_after(tmp_path):
    with nginx(tmp_path, free_port()) as proxy:
        answer = raw.exchange(proxy.url, raw.get("/api/users", "X-Request-Id: mine"))

    assert (answer.status, answer.code) == (503, "unavailable")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "mine"


def test_no_answer_in_time_is_a_503_and_a_post_is_not_sent_again(tmp_path):
    with (
        silent() as (one, heard),
        silent() as (other, heard_too),
        nginx(tmp_path, one, other, proxy_read_timeout="300ms") as proxy,
    ):
        answer = raw.exchange(proxy.url, raw.post(raw.BODY))

    assert (answer.status, answer.code) == (503, "unavailable")
    assert len(heard + heard_too) == 1


def test_one_address_cannot_have_all_connections(tmp_path):
    with silent() as (port, heard), nginx(tmp_path, port) as proxy, ExitStack() as waiting:
        for _ in range(64):
            waiting.enter_context(exports.connected(proxy.url, raw.get("/api/users")))
        until(lambda: len(heard) == 64)
        refused = raw.exchange(proxy.url, raw.get("/api/users"))
        with proxy.client("127.0.0.12", timeout=0.1) as other, pytest.raises(httpx.ReadTimeout):
            other.get("/api/users")

    raw.check(refused)
    assert (refused.status, refused.code) == (429, "rate-limited")
    assert refused.headers["retry-after"] == "1"
    assert len(heard) == 65


@pytest.mark.parametrize("end", [20, -5], ids=["a head", "a body"])
def test_an_incomplete_request_never_reaches_the_service(tmp_path, end):
    times = {"client_header_timeout": "200ms", "client_body_timeout": "200ms"}
    with (
        silent() as (port, heard),
        nginx(tmp_path, port, **times) as proxy,
        exports.connected(proxy.url, raw.post(raw.BODY)[:end]) as connection,
        suppress(ConnectionResetError),
    ):
        assert exports.rest(connection) == b""

    assert heard == []
