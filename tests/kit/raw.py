"""Sends requests as bytes over TCP, which no HTTP client would send, and checks the rules for every
answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from io import BufferedReader
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from jsonschema_rs import Draft201909Validator

from service.specification import specification

SECRET = "tell-nobody-7f3a"  # is in refused requests, and must be in no answer
BODY = b'{"name": "Tea", "notes": "Warm the pot first."}'  # a project of the planner

_problem = Draft201909Validator(
    {
        "$ref": "#/components/schemas/Problem",
        "components": specification.document["components"],
    },
    validate_formats=True,
)


@dataclass(frozen=True)
class Answer:
    """An answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool  # whether the server announced and closed the end of the connection

    @property
    def code(self) -> str | None:
        """The code of the problem; None if the answer is not a problem."""
        return self.json()["code"] if self.status >= 400 else None

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    method: str,
    target: str | bytes,
    *headers: str | bytes,
    host: str | None = "localhost",
    body: bytes | None = None,
) -> bytes:
    """The bytes of a request, with a Content-Length if there is a body."""
    lines = [b" ".join([method.encode(), _bytes(target), b"HTTP/1.1"])]
    if host is not None:
        lines.append(b"Host: " + host.encode())
    lines += map(_bytes, headers)
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body or b""])


def get(target: str | bytes, *headers: str | bytes, **more: Any) -> bytes:
    return request("GET", target, *headers, **more)


def post(body: bytes | None, *headers: str | bytes, target: str = "/projects") -> bytes:
    """A JSON POST with the token that `exchange` inserts."""
    bearer = "Authorization: Bearer {token}"
    return request("POST", target, bearer, "Content-Type: application/json", *headers, body=body)


def chunked(*chunks: bytes, trailer: bytes = b"", target: str = "/projects") -> bytes:
    """A POST whose body is sent in these chunks, without a length."""
    parts = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    head = post(None, "Transfer-Encoding: chunked", target=target)
    return head + b"".join([*parts, b"0\r\n", trailer, b"\r\n"])


def exchange(url: str, data: bytes, token: str = "") -> Answer:
    """The answer to bytes on a new connection; `token` replaces `{token}`."""
    with connected(url) as connection:
        connection.sendall(data.replace(b"{token}", token.encode()))
        response = HTTPResponse(connection, method=data.partition(b" ")[0].decode("latin-1"))
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        body = response.read()
        closed = headers.get("connection") == "close" and connection.recv(1) == b""
        return Answer(response.status, headers, body, closed)


def table(rows: dict[str, tuple[Any, tuple[int, str | None]]]) -> Any:
    """Parametrises a test with `data` and the `expected` (status, problem code)."""
    params = [pytest.param(data, expected, id=name) for name, (data, expected) in rows.items()]
    return pytest.mark.parametrize(("data", "expected"), params)


def expect(server: Any, data: bytes, expected: tuple[int, str | None], token: str = "") -> Answer:
    """The answer to the bytes; checks it, and that the server goes on answering."""
    answer = exchange(server.url, data, token)
    check(answer)
    assert (answer.status, answer.code) == expected, answer.body
    assert httpx.get(f"{server.url}/health/live").status_code == 200
    return answer


def check(answer: Answer) -> None:
    """Check the rules for every answer, whichever layer gave it."""
    assert answer.status < 500, answer.body
    assert answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"]
    if answer.status < 400:
        return
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert [str(error) for error in _problem.iter_errors(problem)] == []
    assert problem["status"] == answer.status
    assert problem["type"] == f"/problems/{problem['code']}"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["instance"] == f"urn:request:{problem['request_id']}"
    assert SECRET not in str(answer)


def answers(incoming: BufferedReader) -> Iterator[Answer]:
    """All answers on a connection, up to its end; not for HEAD, whose answers have no body.

    They are read from one file, because each read may also take the start of the next answer.
    """
    while incoming.peek(1):
        response = HTTPResponse(Shared(incoming))  # type: ignore[arg-type]
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        yield Answer(response.status, headers, response.read(), closed=False)


def connected(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port or 80), timeout=60)


class Shared:
    """The part of a socket that HTTPResponse uses, around a file that is read on afterwards."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file

    def makefile(self, *_: Any) -> Any:
        return _Unclosed(self._file)


class _Unclosed:
    def __init__(self, file: BufferedReader) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        pass


def _bytes(line: str | bytes) -> bytes:
    return line if isinstance(line, bytes) else line.encode("latin-1")
