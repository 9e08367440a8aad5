"""A request that is refused before its body arrives: every kind of client can read the answer."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from service.engine.serve import messages, protocol
from tests.kit import exports, raw
from tests.kit.planning import Planner
from tests.kit.programs import program
from tests.kit.proxy import nginx
from tests.kit.raw import Answer

LARGE = 5_000_000  # bytes: more than the buffers of a connection hold
BODY = b"x" * LARGE
ALLOWED = BODY[:1_000_000]  # as long as a body may be
JSON = "Content-Type: application/json"

pytestmark = pytest.mark.parametrize("server", ["sqlite"], indirect=True)

# What is refused while the body comes, and how.
REFUSED = {
    "too long": (("POST", "/tokens", JSON), (413, "body-too-large")),
    "no token": (("POST", "/projects", JSON), (401, "authentication-required")),
    "nowhere": (("POST", "/nowhere", JSON), (404, "not-found")),
    "not allowed": (("PUT", "/projects", JSON), (405, "method-not-allowed")),
    "of another type": (
        ("POST", "/tokens", "Content-Type: text/plain"),
        (415, "unsupported-media-type"),
    ),
    "two types": (("POST", "/tokens", JSON, "Content-Type: text/plain"), (400, "bad-request")),
}
# How a client frames its request, and whether the connection goes on afterwards.
ENDS = {
    "kept": ("HTTP/1.1", ()),
    "closed": ("HTTP/1.1", ("Connection: close",)),
    "of HTTP/1.0": ("HTTP/1.0", ()),
}


def head(method: str, target: str, *headers: str, version: str = "HTTP/1.1") -> bytes:
    data = raw.request(method, target, *headers)
    return data.replace(b"HTTP/1.1", version.encode(), 1)


def written(server: Planner, *parts: bytes) -> list[Answer]:
    """The answers on a connection whose client reads nothing before it has written everything."""
    with raw.connected(server.url) as connection:
        for part in parts:
            connection.sendall(part)
        with connection.makefile("rb") as incoming:
            return list(raw.answers(incoming))


def write_on(connection: socket.socket, data: bytes) -> None:
    while True:
        connection.sendall(data)


def in_chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 100_000):
        chunk = body[start : start + 100_000]
        yield b"%x\r\n%b\r\n" % (len(chunk), chunk)
    yield b"0\r\n\r\n"


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("refused", REFUSED)
def test_a_client_that_sends_its_whole_body_reads_the_refusal(
    refused: str, end: str, server: Planner
) -> None:
    (method, target, *headers), expected = REFUSED[refused]
    version, more = ENDS[end]
    body = BODY if refused == "too long" else ALLOWED
    length = f"Content-Length: {len(body)}"
    start = head(method, target, *headers, *more, length, version=version)
    last = [raw.get("/health/live", "Connection: close")] if end == "kept" else []
    first, *rest = written(server, start, body, *last)
    assert (first.status, first.code) == expected
    assert [answer.status for answer in rest] == [200] * len(last)


@pytest.mark.parametrize("end", ["kept", "closed"])
@pytest.mark.parametrize("refused", REFUSED)
def test_a_client_that_sends_chunks_reads_the_refusal(
    refused: str, end: str, server: Planner
) -> None:
    (method, target, *headers), expected = REFUSED[refused]
    version, more = ENDS[end]
    body = BODY if refused == "too long" else ALLOWED
    start = head(method, target, *headers, *more, "Transfer-Encoding: chunked", version=version)
    last = [raw.get("/health/live", "Connection: close")] if end == "kept" else []
    first, *rest = written(server, start, *in_chunks(body), *last)
    assert (first.status, first.code) == expected
    assert [answer.status for answer in rest] == [200] * len(last)


@pytest.mark.parametrize("length", [LARGE, 2 * LARGE, 4 * LARGE])
def test_a_refused_body_of_any_length_gets_one_answer(length: int, server: Planner) -> None:
    with raw.connected(server.url) as connection:
        connection.sendall(head("POST", "/tokens", JSON, f"Content-Length: {length}"))
        with connection.makefile("rb") as incoming:
            incoming.peek(1)
            connection.sendall(b"x" * length)
            connection.shutdown(socket.SHUT_WR)
            assert [answer.status for answer in raw.answers(incoming)] == [413]


def test_a_slow_body_gets_more_time_than_a_head(
    server: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_SECONDS", 0.2)
    start = head("POST", "/tokens", JSON, f"Content-Length: {LARGE}")
    with raw.connected(server.url) as connection:
        connection.sendall(start)
        with connection.makefile("rb") as incoming:
            incoming.peek(1)
            go_on(server, seconds=1)
            connection.sendall(BODY + raw.get("/health/live", "Connection: close"))
            assert [answer.status for answer in raw.answers(incoming)] == [413, 200]


def go_on(server: Planner, seconds: float) -> None:
    """Until the server has answered others for so long."""
    end = time.monotonic() + seconds
    with server.client() as http:
        while time.monotonic() < end:
            assert http.get("/health/live").is_success


@pytest.mark.parametrize("end", ENDS)
def test_the_dropped_rest_of_a_body_is_bounded(
    end: str, server: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MAX_DROPPED_BYTES", 1_000_000)
    monkeypatch.setattr(protocol, "MAX_DROPPED_BYTES", 1_000_000)
    version, more = ENDS[end]
    start = head("POST", "/tokens", JSON, *more, "Content-Length: 999999999", version=version)
    with raw.connected(server.url) as connection:
        connection.sendall(start)
        with pytest.raises(ConnectionError):
            write_on(connection, BODY)


@pytest.mark.parametrize("end", ENDS)
def test_a_client_that_never_ends_its_body_is_disconnected(
    end: str, server: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "DROP_TIMEOUT_SECONDS", 0.3)
    version, more = ENDS[end]
    start = head("POST", "/tokens", JSON, *more, f"Content-Length: {LARGE}", version=version)
    with raw.connected(server.url) as connection:
        connection.sendall(start + b"{")
        with connection.makefile("rb") as incoming:
            first = next(raw.answers(incoming))
            assert first.status == 413
            with pytest.raises(ConnectionError):
                write_on(connection, b"x")


def test_a_client_reads_the_refusal_of_an_oversized_head(server: Planner) -> None:
    start = raw.get("/health/live").removesuffix(b"\r\n")
    for line in (b"a: b\r\n" * 200_000, b"a: " + b"x" * 1_000_000):
        [answer] = written(server, start + line)
        assert (answer.status, answer.code) == (431, "headers-too-large")


def test_a_client_reads_the_refusal_of_input_that_is_not_http(server: Planner) -> None:
    [answer] = written(server, b"GARBAGE\r\n" * 100_000)
    assert (answer.status, answer.code) == (400, "bad-request")


def test_a_malformed_chunk_ends_the_connection_after_one_answer(server: Planner) -> None:
    start = head("POST", "/tokens", JSON, "Transfer-Encoding: chunked")
    for body in (b"zz\r\n", b"1\r\n{\r\nzz\r\n"):
        [answer] = written(server, start + body + BODY)
        assert (answer.status, answer.code) == (400, "bad-request")
    refused = head("POST", "/nowhere", "Transfer-Encoding: chunked")
    with raw.connected(server.url) as connection:
        connection.sendall(refused)
        with connection.makefile("rb") as incoming:
            incoming.peek(1)
            connection.sendall(b"zz\r\n" + BODY)
            assert [answer.status for answer in raw.answers(incoming)] == [404]


def test_a_refused_request_with_expect_may_send_no_body(server: Planner) -> None:
    """What comes next might be the body or a request, so the connection ends."""
    expecting = ("Expect: 100-continue", "Content-Length: 40")
    with raw.connected(server.url) as connection:
        connection.sendall(head("POST", "/nowhere", JSON, *expecting))
        with connection.makefile("rb") as incoming:
            incoming.peek(1)
            connection.sendall(raw.get("/health/live"))
            [answer] = raw.answers(incoming)
    assert (answer.status, answer.headers["connection"]) == (404, "close")


def test_urllib_reads_the_refusal(server: Planner) -> None:
    for body, target, status in ((BODY, "/tokens", 413), (ALLOWED, "/projects", 401)):
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{server.url}{target}", body, headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=60)
        with refused.value as answer:
            assert answer.code == json.load(answer)["status"] == status


@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}])
def test_http_client_reads_the_refusal(headers: dict[str, str], server: Planner) -> None:
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    chunked = (BODY[start : start + 65536] for start in range(0, LARGE, 65536))
    for body in (BODY, chunked):
        own: dict[str, Any] = {"Content-Type": "application/json", **headers}
        connection.request("POST", "/tokens", body, own, encode_chunked=body is chunked)
        answer = connection.getresponse()
        assert (answer.status, json.load(answer)["code"]) == (413, "body-too-large")
    connection.close()


@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}])
def test_httpx_reads_the_refusal(headers: dict[str, str], server: Planner) -> None:
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as http:
        for body in (BODY, iter([BODY])):
            own = {"Content-Type": "application/json"}
            answer = http.post("/tokens", content=body, headers=own)
            assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


@pytest.mark.parametrize(
    "options", [[], ["--http1.0"], ["--header", "Expect:"], ["--header", "Connection: close"]]
)
def test_curl_reads_the_refusal(options: list[str], server: Planner, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(BODY)
    curl = [program("curl"), "--silent", "--include", "--max-time", "60", *options]
    body = ["--header", JSON, "--data-binary", f"@{tmp_path}/body"]
    done = subprocess.run([*curl, *body, f"{server.url}/tokens"], stdout=-1, check=True)
    assert done.stdout.split()[1] == b"413"
    assert b"body-too-large" in done.stdout


@pytest.mark.parametrize("passing", ["on", "off"])
def test_a_client_behind_nginx_reads_the_refusal(
    passing: str, server: Planner, tmp_path: Path
) -> None:
    port = urlsplit(server.url).port
    assert port
    words = {"client_max_body_size": f"8m; proxy_request_buffering {passing}"}
    # A connection for each, since nginx closes those on which it has not read everything.
    with nginx(tmp_path, port, **words) as proxy:
        for whole, target, status in ((BODY, "/tokens", 413), (ALLOWED, "/nowhere", 404)):
            own = {"Content-Type": "application/json"}
            for body in (whole, iter([whole])):
                answer = httpx.post(f"{proxy.url}{target}", content=body, headers=own, timeout=60)
                assert (answer.status_code, answer.json()["status"]) == (status, status)


def test_bytes_after_the_last_request_do_not_cut_off_its_answer(server: Planner) -> None:
    last = raw.get("/openapi.json", "Connection: close")
    more = raw.get("/health/live")
    with exports.connected(server.url, last + more[:20], room=4096) as connection:
        received = connection.recv(1)
        connection.sendall(more[20:] * 100)
        received += exports.rest(connection)
    head, _, content = received.partition(b"\r\n\r\n")
    assert f"content-length: {len(content)}".encode() in head
