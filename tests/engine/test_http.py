"""Ambiguous requests: smuggling, response splitting, incomplete bodies (RFC 9112, chapter 11)."""

from __future__ import annotations

import gzip
import socket
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.kit.attack import Attack, Expected, on, table
from tests.kit.planning import Owner
from tests.kit.raw import BODY, get, post, request

BAD_REQUEST, BAD_TYPE = (400, "bad-request"), (415, "unsupported-media-type")
BAD_JSON, NO_TOKEN = (400, "malformed-body"), (401, "authentication-required")
LAST = get("/health/live", "Connection: close")  # is answered when all before it is at its end

pytestmark = on("sqlite")


@pytest.fixture(scope="module")
def author(server: Any) -> Owner:
    return server.sign_up()


def framed(*lines: bytes, body: bytes = b"") -> bytes:
    """A JSON POST whose body is framed by these lines."""
    return post(None, *lines, target="/tokens") + body


def chunks(body: bytes) -> bytes:
    return framed(b"Transfer-Encoding: chunked", body=body)


END = b"0\r\n\r\n"
REFUSED = {
    # CL.TE and TE.CL, in the spellings that have got past proxies.
    "a length and chunks": framed(
        b"Content-Length: 6", b"Transfer-Encoding: chunked", body=END + b"G"
    ),
    "chunks, then none": framed(
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=END
    ),
    "none, then chunks": framed(
        b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked", body=END
    ),
    "an encoding and chunks": framed(b"Transfer-Encoding: gzip, chunked", body=END),
    "none and chunks": framed(b"Transfer-Encoding: identity, chunked", body=END),
    "a comma and chunks": framed(b"Transfer-Encoding: ,chunked", body=END),
    "chunks and none": framed(b"Transfer-Encoding: chunked, identity", body=END),
    "chunks twice": framed(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=END),
    "chunks in quotes": framed(b'Transfer-Encoding: "chunked"', body=END),
    "chunks behind a vertical tab": framed(b"Transfer-Encoding:\x0bchunked", body=END),
    "chunks with a parameter": framed(b"Transfer-Encoding: chunked;q=1", body=END),
    "chunks, but a space before the colon": framed(b"Transfer-Encoding : chunked", body=END),
    "chunks behind a line feed": framed(b"X: y\nTransfer-Encoding: chunked", body=END),
    "chunks behind a carriage return": framed(b"X: y\rTransfer-Encoding: chunked", body=END),
    "chunks on the next line": framed(b"X: y", b" Transfer-Encoding: chunked", body=END),
    "an empty coding": framed(b"Transfer-Encoding:", body=END),
    "two lengths in one": framed(b"Content-Length: 2, 2", body=b"{}"),
    "two lengths and a space": framed(b"Content-Length: 2 2", body=b"{}"),
    "a length in hexadecimal": framed(b"Content-Length: 0x2", body=b"{}"),
    "a length with a point": framed(b"Content-Length: 2.0", body=b"{}"),
    "a length in other digits": framed(b"Content-Length: \xd9\xa2", body=b"{}"),
    "no length": framed(b"Content-Length:", body=b"{}"),
    "a size in hexadecimal": chunks(b"0x2\r\n{}\r\n" + END),
    "a size with a sign": chunks(b"+2\r\n{}\r\n" + END),
    "a negative size": chunks(b"-2\r\n{}\r\n" + END),
    "a size and a space": chunks(b"2 \r\n{}\r\n" + END),
    "a size and a line feed": chunks(b"2\n{}\r\n" + END),
    "a size of 17 digits": chunks(b"f" * 17 + b"\r\n{}\r\n" + END),
    "a chunk longer than its size": chunks(b"2\r\n{}XX\r\n" + END),
    "a chunk without its end": chunks(b"2\r\n{}0\r\n\r\n"),
    "a line feed in an extension": chunks(b"2;a\n=b\r\n{}\r\n" + END),
    # Versions and request lines.
    "version 2.0": b"GET /health/live HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "version 3": b"GET /health/live HTTP/3\r\nHost: localhost\r\n\r\n",
    "version 1.2": b"GET /health/live HTTP/1.2\r\nHost: localhost\r\n\r\n",
    "version 0.9": b"GET /health/live HTTP/0.9\r\nHost: localhost\r\n\r\n",
    "another protocol": b"GET /health/live ICY/1.0\r\nHost: localhost\r\n\r\n",
    "tabs": b"GET\t/health/live\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a space in front": b" GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a first header that is folded": b"GET /health/live HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "a method of 70 000 letters": b"A" * 70_000 + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no path": b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@table("data", REFUSED)
def test_an_ambiguous_request_is_refused(attack: Attack, data: bytes) -> None:
    [answer] = attack.pipelined(data + LAST)
    assert (answer.status, answer.code) == BAD_REQUEST
    assert answer.headers["connection"] == "close"


INSIDE = get("/me")
ACCEPTED: dict[str, tuple[bytes, Expected]] = {
    "a GET": (request("GET", "/projects", body=INSIDE), 200),
    "an OPTIONS": (request("OPTIONS", "/projects", body=INSIDE), 204),
    "a DELETE": (request("DELETE", "/projects/1", body=INSIDE), NO_TOKEN),
    "a POST to nowhere": (request("POST", "/nowhere", body=INSIDE), 404),
    "a POST of another type": (
        request("POST", "/tokens", "Content-Type: text/plain", body=INSIDE),
        BAD_TYPE,
    ),
    "a POST of a bad host": (
        request("POST", "/tokens", host="evil.example", body=INSIDE),
        (400, "host-not-allowed"),
    ),
    "a POST that is no JSON": (post(INSIDE, target="/tokens"), BAD_JSON),
    "a POST without a token": (request("POST", "/projects", body=INSIDE), NO_TOKEN),
    "a method that is not allowed": (request("PUT", "/projects", body=INSIDE), 405),
    "a wish to continue": (
        request("POST", "/projects", "Expect: 100-continue", body=INSIDE),
        NO_TOKEN,
    ),
    "a chunk": (chunks(b"%x\r\n%b\r\n%b" % (len(INSIDE), INSIDE, END)), BAD_JSON),
    "an extension": (chunks(b"2;GET=a\r\n{}\r\n" + END), 400),
    "chunks in capitals": (framed(b"Transfer-Encoding:\tCHUNKED", body=END), BAD_JSON),
    "a length with zeros in front": (framed(b"Content-Length: 0000002", body=b"{}"), 400),
}


@table(("data", "expected"), ACCEPTED)
def test_no_body_is_taken_for_the_next_request(
    attack: Attack, author: Owner, data: bytes, expected: Expected
) -> None:
    first, last = attack.pipelined(data + LAST, author.tokens["access_token"])
    assert expected in (first.status, (first.status, first.code))
    assert last.json() == {"status": "ok"}


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.0", "evil"])
@pytest.mark.parametrize("body", [b"", BODY])
def test_a_connection_is_not_upgraded(
    attack: Attack, author: Owner, protocol: str, body: bytes
) -> None:
    settings = ("HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "Connection: close")
    wish = (f"Upgrade: {protocol}", "Connection: Upgrade, HTTP2-Settings", *settings)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    data = request("GET", "/projects", *wish, body=body or None)
    [answer] = attack.pipelined(data + preface + INSIDE, author.tokens["access_token"])
    assert answer.status == 200
    assert "upgrade" not in answer.headers


def test_requests_in_one_go_are_answered_in_order_and_apart(attack: Attack, author: Owner) -> None:
    ours = "Authorization: Bearer {token}"
    requests = [
        *[get("/me", ours), get("/me"), get("/nowhere", ours), post(BODY)],
        *[
            get("/me", "Authorization: Bearer x"),
            get("/projects?limit=0"),
            get("/me", ours),
        ],
    ] * 10
    answers = attack.pipelined(b"".join([*requests, LAST]), author.tokens["access_token"])
    assert [answer.status for answer in answers] == [200, 401, 404, 201, 401, 400, 200] * 10 + [200]
    assert answers[0].json()["id"] == answers[6].json()["id"] == author.id
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)


def test_requests_after_connection_close_are_not_read(attack: Attack, author: Owner) -> None:
    data = post(BODY, "Connection: close") + post(BODY) + LAST
    [answer] = attack.pipelined(data, author.tokens["access_token"])
    assert answer.status == 201
    projects = attack("GET", "/projects", params={"owner_id": author.id, "limit": 100}).json()
    assert projects[0]["id"] == answer.json()["id"]


@pytest.mark.parametrize(
    "garbage", [b"GARBAGE\r\n\r\n", b"\x16\x03\x01", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_a_request_with_garbage_gets_no_kept_answer(
    attack: Attack, author: Owner, garbage: bytes
) -> None:
    # The request that is under way when it comes has been done, and nobody is told otherwise.
    for behind in (b"", get("/me"), chunks(b"zz\r\n")):
        data = post(BODY) + behind + garbage
        first, *rest = attack.pipelined(data, author.tokens["access_token"])
        assert first.status == 201
        assert [answer.status for answer in rest] in ([], [400], [401], [401, 400])


BOMB = gzip.compress(bytes(50_000_000))


@table(
    ("coding", "body", "expected"),
    {
        "a bomb": ("gzip", BOMB, BAD_TYPE),
        "what is compressed": ("gzip", gzip.compress(BODY), BAD_TYPE),
        "what is not": ("gzip", BODY, BAD_TYPE),
        "another": ("deflate", BODY, BAD_TYPE),
        "brotli": ("br", BODY, BAD_TYPE),
        "two": ("gzip, gzip", BODY, BAD_TYPE),
        "an unknown one": ("x-evil", BODY, BAD_TYPE),
        "none": ("identity", BODY, 201),
    },
)
def test_no_body_is_decompressed(
    attack: Attack, author: Owner, coding: str, body: bytes, expected: Expected
) -> None:
    data = post(body, f"Content-Encoding: {coding}")
    attack.raw(data, expected, author.tokens["access_token"])


@pytest.mark.parametrize(
    "ranges", ["bytes=0-0", "bytes=-1", "bytes=9999999-", "bytes=" + ",".join(["0-"] * 1300), "x=1"]
)
def test_range_requests_are_ignored(attack: Attack, ranges: str) -> None:
    for path, headers in (("/openapi.json", {"If-Range": "*"}), ("/docs/swagger-ui.css", {})):
        answer = attack("GET", path, 200, headers={"Range": ranges, **headers})
        assert "content-range" not in answer.headers
        assert len(answer.body) == int(answer.headers["content-length"])


@table(
    ("line", "status"),
    {
        "to continue": ("Expect: 100-continue", 201),
        "to continue, in capitals": ("Expect: 100-CONTINUE", 201),
        "something else": ("Expect: 200-ok", 201),
        "a dropped credential": ("Connection: close, Authorization", 201),
        "a dropped length": ("Connection: Content-Length, close", 201),
        "trailers": ("TE: trailers", 201),
        "a proxy": ("Proxy-Connection: keep-alive", 201),
        "a limit of hops": ("Max-Forwards: 0", 201),
        "an early request": ("Early-Data: 1", 201),
        "99 lines of nothing": ("\r\n".join(["X-A: b"] * 94), 201),
        "100 lines of nothing": ("\r\n".join(["X-A: b"] * 100), 431),
        "a name of 33 000 letters": (f"{'x' * 33_000}: y", 431),
        "a name that is no token": ("X-\xc4: y", 400),
        "a name in brackets": ("[X]: y", 400),
    },
)
def test_other_headers_change_nothing(
    attack: Attack, author: Owner, line: str, status: int
) -> None:
    attack.raw(post(BODY, line.encode("latin-1")), status, author.tokens["access_token"])


def test_half_sent_bodies_delay_no_other_request(attack: Attack, author: Owner) -> None:
    address = urlsplit(attack.server.url)
    token = author.tokens["access_token"].encode()
    with ExitStack() as stack:
        for number in range(60):
            sent = post(BODY)[: -1 - number % 20].replace(b"{token}", token)
            half = stack.enter_context(socket.create_connection((address.hostname, address.port)))
            half.sendall(sent)
        assert attack("GET", "/me", 200, token=author).json()["id"] == author.id
        attack("POST", "/projects", 201, token=author, json={"name": "x"})
