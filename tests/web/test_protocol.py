"""Limits on a client before its request is complete, over raw connections."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from service.engine.serve import protocol
from service.engine.serve.server import UVICORN
from service.engine.spec import body
from tests.kit.serving import Server

HEAD = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
OPTIONS = HEAD.replace(b"GET", b"OPTIONS")


def connected(server: Server) -> socket.socket:
    url = urlsplit(server.url)
    assert url.hostname
    assert url.port
    return socket.create_connection((url.hostname, url.port), timeout=60)


def answered(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"a:\r\n" * 200 + b"Connection: close\r\n\r\n",
        HEAD + b"a: " + b"x" * 40_000 + b"\r\nConnection: close\r\n\r\n",
        HEAD.replace(b"live", b"live?" + b"x" * 40_000) + b"Connection: close\r\n\r\n",
    ],
    ids=["many fields", "a long field", "a long query"],
)
def test_a_head_that_is_too_large_is_refused(head: bytes, server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(head)
        status, _, body = answered(connection).partition(b"\r\n")
    assert status.split()[1] == b"431"
    assert json.loads(body.rpartition(b"\r\n")[2])["code"] == "headers-too-large"


@pytest.mark.parametrize("start", [HEAD + b"a: ", b"GET /", HEAD], ids=["field", "url", "fields"])
def test_a_head_without_an_end_is_cut_off(start: bytes, server: Server) -> None:
    more = b"a: b\r\n" * 1000 if start == HEAD else b"x" * 8000
    received = b""
    with connected(server) as connection:
        connection.sendall(start)
        try:
            for _ in range(10_000):  # 80 MB, were it to go on
                connection.sendall(more)
        except (BrokenPipeError, ConnectionResetError):
            cut_off = True
        else:
            cut_off = False
        with suppress(ConnectionResetError):  # what was still on its way undid the answer
            received = answered(connection)
    assert cut_off
    assert not received or received.startswith(b"HTTP/1.1 431 ")


def test_a_client_that_sends_no_complete_head_is_disconnected(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_SECONDS", 0.05)
    with connected(server) as silent, connected(server) as slow:
        slow.sendall(HEAD)
        assert (answered(silent), answered(slow)) == (b"", b"")


@pytest.mark.parametrize(
    "start",
    [
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /auth/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
    ],
    ids=["an empty line", "the body of what was refused"],
)
def test_the_rest_of_a_body_after_its_answer_has_a_time_limit(
    start: bytes, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(protocol, "DROP_TIMEOUT_SECONDS", 0.5)
    with connected(server) as connection:
        connection.sendall(start)
        assert connection.recv(65536).startswith(b"HTTP/1.1 ")
        connection.sendall(b"\r\n")
        answered(connection)  # which ends: the server closes


def test_a_client_that_never_sends_the_body_of_a_refused_request_is_disconnected(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "DROP_TIMEOUT_SECONDS", 0.5)
    head = b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
    with connected(server) as connection:
        connection.sendall(head + b"Content-Length: 50\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 415 ")
        answered(connection)  # which ends: the server closes


def test_a_body_that_never_ends_closes_the_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "BODY_TIMEOUT_SECONDS", 0.5)
    head = b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with connected(server) as connection:
        connection.sendall(head + b"Content-Length: 50\r\n\r\n{")
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.rpartition(b"\r\n")[2])["code"] == "bad-request"


def test_an_idle_connection_is_kept_longer_than_clients_keep_it(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        is_readable, _, _ = select.select([connection], [], [], 7)  # httpx keeps one for 5 s
        assert not is_readable  # as it would be at its end


@pytest.mark.parametrize(
    ("start", "body"),
    [(HEAD, b'{"status":"ok"}'), (HEAD.replace(b"GET", b"HEAD"), b""), (OPTIONS, b"")],
    ids=["GET", "HEAD", "OPTIONS"],
)
def test_a_small_answer_comes_in_one_piece(start: bytes, body: bytes, server: Server) -> None:
    with connected(server) as connection:
        for _ in range(2):
            connection.sendall(start + b"\r\n")
            assert connection.recv(65536).endswith(b"\r\n\r\n" + body)


def test_a_client_that_sends_expect_gets_a_100_continue(server: Server) -> None:
    head = b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
    with connected(server) as connection:
        connection.sendall(head + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_a_client_of_http_1_0_is_sent_no_interim_answer(server: Server) -> None:
    head = b"POST /auth/login HTTP/1.0\r\nHost: localhost\r\nExpect: 100-continue\r\n"
    with connected(server) as connection:
        connection.sendall(head + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        assert answered(connection).startswith(b"HTTP/1.1 400 ")


def test_a_client_may_send_empty_lines_before_its_first_request(server: Server) -> None:
    with connected(server) as connection:
        for _ in range(2):
            connection.sendall(b"\r\n")
            assert select.select([connection], [], [], 0.2)[0] == []
        connection.sendall(HEAD + b"Connection: close\r\n\r\n")
        assert answered(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("pause", [0.2, 0.7])
def test_an_idle_connection_is_closed_as_long_after_each_answer(
    pause: float, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(UVICORN, "timeout_keep_alive", 1)
    with connected(serve()) as connection:
        for _ in range(3):
            assert select.select([connection], [], [], pause)[0] == []
            connection.sendall(HEAD + b"\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            begun = time.monotonic()
        assert answered(connection) == b""
        assert time.monotonic() - begun > 0.9
