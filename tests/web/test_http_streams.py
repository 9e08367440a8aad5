"""Byline and a second HTTP parser, h11, find the same requests in a stream of bytes.

STREAMS=1000 tries as many for each operation; a failure prints what reproduces it.
"""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

import h11
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from service.engine.serve import protocol
from service.engine.spec import body
from tests.kit import raw
from tests.kit.raw import Answer
from tests.kit.serving import Server
from tests.web.test_upgrades import OPERATIONS

STREAMS = int(os.environ.get("STREAMS", "4"))
INSIDE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: inside\r\n\r\n"
LAST = (
    b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: last\r\nConnection: close\r\n\r\n"
)
HEAD = re.compile(rb"HEAD [^\n]*\n(?:[^\n]+\n)*?X-Request-Id: (\w+)")
PARTIAL, IN_FULL = 0.6, 30.0  # seconds that the server waits for what may not come
WAITS = (
    (body, "BODY_TIMEOUT_SECONDS"),
    (protocol, "HEAD_TIMEOUT_SECONDS"),
    (protocol, "DROP_TIMEOUT_SECONDS"),
)

pytestmark = pytest.mark.parametrize("server", ["sqlite"], indirect=True)


@dataclass(frozen=True)
class Found:
    """What h11 finds in a stream: the ids of the requests, and whether it refuses none."""

    names: list[str]
    is_sound: bool


BODIES = st.sampled_from([b"", b"{", b"{}", INSIDE, INSIDE * 2, b"0\r\n\r\n" + INSIDE, raw.BODY])
OFFERS = st.sampled_from(
    [
        [],
        [b"Connection: Upgrade", b"Upgrade: h2c"],
        [b"connection: keep-alive, UPGRADE", b"upgrade: websocket"],
        [b"Upgrade: h2c", b"Upgrade: a/1", b"Connection: keep-alive", b"Connection: upgrade"],
        [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"],
        [b"Connection: close", b"Upgrade: h2c"],
        [b"Connection: upgrade, close", b"Upgrade: h2c"],
    ]
)
ODD = st.sampled_from(
    [
        *[[]] * 12,
        [b"Expect: 100-continue"],
        [b"Connection: close"],
        [b"Connection: keep-alive"],
        [b"X: a", b"  folded"],
        [b"X : space"],
        [b"X:"],
        [b"X: \x00"],
        [b"X: a\rb"],
        [b"\tX: tab"],
        [b"Content-Length: 3"],
        [b"Content-Length: 03"],
        [b"Content-Length: +3"],
        [b"Content-Length: 0", b"Content-Length: 3"],
        [b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: xchunked"],
    ]
)
PLAIN = st.sampled_from([[], [], [b"Connection: keep-alive"], [b"Connection: close"]])
VERSIONS = st.sampled_from([*[b"1.1"] * 12, b"1.0", b"1.0", b"1.2", b"2.0", b"0.9"])
ENDS = st.sampled_from([*[b"\r\n"] * 12, b"\n"])
EXTENSIONS = st.sampled_from([b"", b"", b"", b";a", b";a=b", b';a="b;c"', b" ;a", b";\n"])
TRAILERS = [b"", b"", b"A: b\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n"]
ODD_TRAILERS = [b"Content-Length: 5\r\n", b" A: b\r\n", b"A\r\n", b"\x00: b\r\n"]


@st.composite
def chunks(draw: Any, content: bytes, is_plain: bool) -> bytes:
    extensions = st.sampled_from([b"", b";a", b";a=b"]) if is_plain else EXTENSIONS
    trailers = st.sampled_from(TRAILERS if is_plain else TRAILERS * 3 + ODD_TRAILERS)
    parts = []
    while content:
        size = draw(st.integers(1, len(content)))
        chunk, content = content[:size], content[size:]
        digits = draw(st.sampled_from([b"%x", b"%X", b"0%x"])) % size
        parts.append(digits + draw(extensions) + b"\r\n" + chunk + b"\r\n")
    return b"".join([*parts, b"0", draw(extensions), b"\r\n", draw(trailers), b"\r\n"])


@st.composite
def requests(draw: Any, method: str, path: str, name: str, is_plain: bool) -> bytes:
    """The bytes of one request; one that `is_plain` every parser has to read alike."""
    content = draw(BODIES)
    odd = [] if is_plain else ["none", "both"]
    framing = draw(st.sampled_from(["length", "length", "chunks", "chunks", *odd]))
    version = draw(st.sampled_from([b"1.1"] * 5 + [b"1.0"]) if is_plain else VERSIONS)
    lines = [
        b"%b %b HTTP/%b" % (method.encode(), path.encode(), version),
        b"Host: localhost",
        b"X-Request-Id: " + name.encode(),
        b"Content-Type: application/json",
        *draw(OFFERS),
        *draw(PLAIN if is_plain else ODD),
    ]
    if framing in {"length", "both"}:
        lines.append(b"Content-Length: %d" % len(content))
    if framing in {"chunks", "both"}:
        lines.append(b"Transfer-Encoding: chunked")
        content = draw(chunks(content, is_plain))
    end = b"\r\n" if is_plain else draw(ENDS)
    start = b"" if is_plain else draw(st.sampled_from([*[b""] * 12, b" "]))
    return start + end.join([*lines, b"", b""]) + (content if framing != "none" else b"")


@st.composite
def streams(draw: Any, operation: str) -> tuple[bool, list[bytes]]:
    """The segments of a few requests, the first to the operation, and whether all are plain."""
    is_plain = draw(st.booleans())
    chosen = [operation, *draw(st.lists(st.sampled_from(sorted(OPERATIONS)), max_size=2))]
    parts = []
    for number, name in enumerate(chosen):
        method, path = OPERATIONS[name]
        method = draw(st.sampled_from([*[method] * 12, "HEAD", "OPTIONS", "PROPFIND"]))
        parts.append(draw(requests(method, path, f"r{number}", is_plain)))
    data = b"".join([*parts, LAST])
    cuts = sorted(draw(st.sets(st.integers(1, len(data) - 1), max_size=6)))
    return is_plain, [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def by_h11(data: bytes) -> Found:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    found: list[str] = []
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                names = [value for name, value in event.headers if name == b"x-request-id"]
                found.append(names[0].decode() if names else "")
            elif isinstance(event, h11.EndOfMessage):
                connection.send(h11.Response(status_code=404, headers=[(b"content-length", b"0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is h11.MUST_CLOSE:
                    return Found(found, is_sound=True)
                connection.start_next_cycle()
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return Found(found, is_sound=False)
    except h11.ProtocolError:
        return Found(found, is_sound=False)


def by_byline(server: Server, segments: list[bytes]) -> list[Answer]:
    """All answers, up to the end of the connection, which has to come."""
    heads = {name.decode() for name in HEAD.findall(b"".join(segments))}
    answers: list[Answer] = []
    with raw.connected(server.url) as connection, suppress(ConnectionError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(ConnectionError):  # it may be closed already, as an answer has to say
            for segment in segments:
                connection.sendall(segment)
        with connection.makefile("rb") as incoming:
            while incoming.peek(1):
                response = HTTPResponse(raw.Shared(incoming))  # type: ignore[arg-type]
                response.begin()
                headers = {name.lower(): value for name, value in response.getheaders()}
                content = b"" if headers["x-request-id"] in heads else response.read()
                answers.append(Answer(response.status, headers, content, closed=False))
    return answers


@pytest.mark.parametrize("operation", OPERATIONS)
def test_byline_and_h11_find_the_same_requests(operation: str, server: Server) -> None:
    @given(streams(operation))
    @settings(
        max_examples=STREAMS,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    def compare(stream: tuple[bool, list[bytes]]) -> None:
        is_plain, segments = stream
        note(f"segments = {segments}")
        for module, name in WAITS:  # where nothing is missing, it may be the machine that is busy
            patch.setattr(module, name, IN_FULL if is_plain else PARTIAL)
        found = by_h11(b"".join(segments))
        names = found.names
        answers = by_byline(server, segments)
        answered = [answer.headers["x-request-id"] for answer in answers]
        assert answers, "no answer"
        assert all(answer.status < 500 or answer.status == 503 for answer in answers)
        if not found.is_sound:  # of what comes behind, there is no second opinion
            answered = answered[: len(names)]
        if is_plain:
            assert found.is_sound
            assert answered == names
        elif answered != names[: len(answered)]:
            # Byline is stricter. A refusal of what is no request has an id of its own, and ends
            # the connection; behind an answer, the connection ends without one.
            assert answered[:-1] == names[: len(answered) - 1]
            refusal = answers[len(answered) - 1]
            assert refusal.status in {400, 413, 431}
            assert refusal.headers["connection"] == "close"
            assert answered[-1] not in {"inside", *names}

    with pytest.MonkeyPatch.context() as patch:
        compare()
