"""An upgrade that is offered and not made changes nothing: the body stays the body, whenever and
however it comes, and each request has one answer (RFC 9110, section 7.8)."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
from typing import Any

import pytest

from service.specification import specification
from tests.kit import raw
from tests.kit.programs import program
from tests.kit.raw import Answer, get, request
from tests.kit.serving import PASSWORD, Person, Server

OFFER = ("Connection: Upgrade", "Upgrade: h2c")
INSIDE = get("/health/live")  # is answered with a 200 if a body is taken for a request
LAST = get("/nowhere", "Connection: close")
JSON = "Content-Type: application/json"
SETTINGS = "HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA"

OPERATIONS = {
    operation["operationId"]: (method.upper(), path.replace("{", "").replace("}", ""))
    for path, item in specification.document["paths"].items()
    for method, operation in item.items()
    if isinstance(operation, dict) and "operationId" in operation
}

pytestmark = pytest.mark.parametrize("server", ["sqlite"], indirect=True)


@pytest.fixture
def token(server: Server) -> str:
    return str(server.sign_up().tokens["access_token"])


def with_length(method: str, path: str, *headers: str, body: bytes = INSIDE) -> bytes:
    return request(method, path, *headers, body=body)


def in_chunks(method: str, path: str, *headers: str, body: bytes = INSIDE) -> bytes:
    chunks = [body[:10], body[10:]] if body else []
    parts = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    head = request(method, path, *headers, "Transfer-Encoding: chunked")
    return head + b"".join([*parts, b"0\r\n\r\n"])


def at_once(data: bytes) -> list[bytes]:
    return [data]


def head_then_body(data: bytes) -> list[bytes]:
    head, end, body = data.partition(b"\r\n\r\n")
    return [head + end, body]


def head_in_two(data: bytes) -> list[bytes]:
    head, end, body = data.partition(b"\r\n\r\n")
    return [head[:-3], head[-3:] + end + body[:5], body[5:]]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


FRAMES = (with_length, in_chunks)
SEGMENTS = (at_once, head_then_body, head_in_two, byte_by_byte)


def sent(server: Server, *segments: bytes) -> list[Answer]:
    """The answers to segments on one connection, each of which the server reads by itself; the last
    has to ask for the end of the connection."""
    with raw.connected(server.url) as connection, server.client() as other:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for segment in segments:
            connection.sendall(segment)
            if len(segment) > 1:  # what comes later on another connection is read later
                assert other.get("/health/live").is_success
        with connection.makefile("rb") as incoming:
            return list(raw.answers(incoming))


def outcomes(answers: list[Answer]) -> list[tuple[int, str | None]]:
    return [(answer.status, answer.code) for answer in answers]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_body_after_an_upgrade_offer_is_not_a_request(
    operation: str, server: Server, token: str
) -> None:
    method, path = OPERATIONS[operation]
    ours = (JSON, f"Authorization: Bearer {token}")
    for frame in FRAMES:
        for segments in SEGMENTS:
            data = frame(method, path, *ours, *OFFER)
            first, last = sent(server, *segments(data), LAST)
            assert first.status not in {0, 101}, (frame, segments)
            assert first.status < 500, (frame, segments)
            assert last.code == "not-found", (frame, segments)
            if (method, path) in {("POST", "/auth/logout"), ("DELETE", "/auth/sessions")}:
                token = str(server.sign_up().tokens["access_token"])
                ours = (JSON, f"Authorization: Bearer {token}")


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("segments", SEGMENTS)
def test_a_post_sent_with_an_upgrade_offer_is_written(
    frame: Any, segments: Any, server: Server
) -> None:
    account = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD}
    data = frame("POST", "/auth/register", JSON, *OFFER, body=json.dumps(account).encode())
    made, read = sent(server, *segments(data), get("/api/users?limit=1", "Connection: close"))
    assert made.status == 201
    assert read.json()[0]["id"] == made.json()["id"]


@pytest.mark.parametrize(
    "offer",
    [
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", SETTINGS),
        ("connection: keep-alive,\tuPGRADE", "UPGRADE: WebSocket", "Sec-WebSocket-Version: 13"),
        ("Connection: keep-alive", "Connection: upgrade", "Upgrade: a/1, b/2"),
        ("Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"),
        ("Connection: upgrade, upgrade", "Connection: upgrade", "Upgrade:"),
        ("Upgrade: TLS/1.2", "Connection: ,upgrade,"),
        ("Connection: Upgrade", "Upgrade:  \t h2c \t "),
    ],
)
@pytest.mark.parametrize("segments", SEGMENTS)
def test_an_upgrade_offer_may_be_written_in_any_way(
    offer: tuple[str, ...], segments: Any, server: Server
) -> None:
    for frame in FRAMES:
        first, second, last = sent(
            server,
            *segments(frame("POST", "/auth/login", JSON, *offer)),
            *segments(frame("GET", "/health/live", *offer)),
            LAST,
        )
        assert (first.status, first.code) == (400, "malformed-body")
        assert second.json() == {"status": "ok"}
        assert last.code == "not-found"


def test_an_upgrade_offer_of_http_1_0_is_answered_once(server: Server) -> None:
    for segments in SEGMENTS:
        data = with_length("POST", "/auth/login", JSON, *OFFER).replace(b"HTTP/1.1", b"HTTP/1.0")
        assert outcomes(sent(server, *segments(data))) == [(400, "malformed-body")]


def test_pipelined_upgrade_offers_are_answered_in_order(server: Server) -> None:
    one = with_length("POST", "/auth/login", JSON, *OFFER) + get("/health/live", *OFFER)
    answers = sent(server, one * 30 + LAST)
    assert [answer.status for answer in answers] == [400, 200] * 30 + [404]


def test_an_upgrade_offer_with_expect_gets_a_100_continue(server: Server) -> None:
    head, end, body = with_length(
        "POST", "/auth/login", JSON, "Expect: 100-continue", *OFFER
    ).partition(b"\r\n\r\n")
    with raw.connected(server.url) as connection:
        connection.sendall(head + end)
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body + LAST)
        with connection.makefile("rb") as incoming:
            assert [answer.status for answer in raw.answers(incoming)] == [400, 404]


def test_an_upgrade_offer_without_a_body_waits_for_none(server: Server) -> None:
    answers = sent(server, get("/health/live", *OFFER), get("/health/ready", *OFFER) + LAST)
    assert [answer.status for answer in answers] == [200, 200, 404]


@pytest.mark.parametrize("target", ["localhost:80", "/api/users", "*", "http://localhost/"])
def test_bytes_after_a_connect_are_not_read_as_http(target: str, server: Server) -> None:
    for segments in SEGMENTS:
        data = with_length("CONNECT", target) + get("/health/live")
        [answer] = sent(server, *segments(data))
        assert answer.status in {400, 404, 405}
        assert answer.headers["connection"] == "close"


def test_an_upgrade_in_trailers_is_ignored(server: Server) -> None:
    trailers = b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    data = in_chunks("POST", "/auth/login", JSON).removesuffix(b"\r\n") + trailers
    answers = sent(server, data, INSIDE, LAST)
    assert [answer.status for answer in answers] == [400, 200, 404]


def test_each_of_two_clients_has_its_own_tokens(server: Server) -> None:
    """The tokens of one went to the other where both came on one connection of a proxy."""
    anna, ben = server.sign_up(), server.sign_up()

    def refresh(person: Person, *more: str) -> bytes:
        bearer = f"Authorization: Bearer {person.tokens['refresh_token']}"
        return request("POST", "/auth/refresh", bearer, *more)

    inside = refresh(anna, "Connection: close")
    head = refresh(ben, *OFFER, f"Content-Length: {len(inside)}")
    answers = sent(server, head, inside, refresh(ben, "Connection: close"))
    tokens = [answer.json()["access_token"] for answer in answers if answer.status == 200]
    assert tokens
    for token in tokens:
        with server.client(token) as http:
            assert http.get("/auth/me").json()["id"] == ben.id


def test_curl_with_http2_is_answered(server: Server) -> None:
    account = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD}
    curl = [program("curl"), "--silent", "--include", "--max-time", "30", "--http2"]
    posted = subprocess.run(
        [*curl, "--header", JSON, "--data", json.dumps(account), f"{server.url}/auth/register"],
        capture_output=True,
        check=True,
    ).stdout
    assert posted.startswith(b"HTTP/1.1 201 ")
