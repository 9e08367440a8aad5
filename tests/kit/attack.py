"""Sends attacks, and checks the rules that hold for every answer, whatever was sent."""

from __future__ import annotations

import json as standard
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, Protocol

import httpx
import pytest

from service import problems
from service.engine import problems as of_any_service
from tests.kit import raw
from tests.kit.hashing import racing
from tests.kit.raw import Answer
from tests.kit.serving import Service

Expected = int | tuple[int, str | None]


class SignedIn(Protocol):
    """A user with an access token, of either API."""

    tokens: dict[str, Any]


MOST = 16 * 1024  # bytes of a refusal, so that no answer amplifies a request
STATUSES = {
    problem.code: problem.status
    for problem in (*vars(of_any_service).values(), *vars(problems).values())
    if isinstance(problem, type) and issubclass(problem, of_any_service.Problem)
}
# Internal details: stack traces, SQL, drivers, files, the owner of an address.
_INSIDE = re.compile(
    r"Traceback|File \"|\.py\b|site-packages|sqlite|psycopg|sqlalchemy|werkzeug|connexion|uvicorn"
    r"|\b(?:SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM|UNIQUE constraint|relation \"|LINE 1:)"
    r"|(?<![\w:.])/(?:home|tmp|usr|var|etc|root|work|srv|opt)\b|0x[0-9a-f]{6,}"
    r"|[\w.+-]+@[\w-]+\.\w+",
    re.IGNORECASE,
)
# Secrets that no answer may contain, not even a success.
_SECRET = re.compile(r'\$argon2|PRIVATE KEY|"password_hash"|"d":|BEGIN CERTIFICATE')
_NEVER_SENT = {"set-cookie", "server", "x-powered-by", "refresh"}


# Refusals of a request that had no token, or of a sign-in.
_WITHOUT_TOKEN = {
    "authentication-required",
    "challenge-invalid",
    "invalid-credentials",
    "passkey-unknown",
    "passkey-wrong",
    "second-factor-required",
    "second-factor-wrong",
}


def check(answer: Answer, method: str = "GET", sent: Any = ()) -> Answer:
    """Checks the rules for every answer; a refusal must not repeat a string that was `sent`."""
    assert not _NEVER_SENT & answer.headers.keys()
    if method == "HEAD":
        assert answer.body == b""
        assert answer.status < 500
        assert answer.headers["x-request-id"]
        return answer
    raw.check(answer)
    told = f"{answer.headers} {answer.body.decode()}"
    assert not _SECRET.search(told)
    if answer.status < 400:
        return answer
    assert not _INSIDE.search(told), told
    assert len(answer.body) < MOST
    problem = answer.json()
    assert STATUSES[problem["code"]] == answer.status
    _check_headers(answer, problem["code"])
    said = [*_strings(problem), *answer.headers.values()]
    said.remove(answer.headers["x-request-id"])
    for value in _strings(sent):
        assert len(value) < 8 or not any(value in text for text in said), value
    return answer


def _check_headers(answer: Answer, code: str) -> None:
    """Check the headers that a refusal with this code must have."""
    assert answer.headers["cache-control"] == "no-store"
    if answer.status == 401:
        challenge = answer.headers["www-authenticate"]
        anew = code in _WITHOUT_TOKEN
        error = "" if anew else ', error="invalid_token"'
        realms = [f'Bearer realm="{name}"{error}' for name in ("byline", "planner")]
        assert challenge in realms  # RFC 6750, section 3.1
    if answer.status == 405:
        assert "OPTIONS" in answer.headers["allow"]
    if answer.status in {429, 503}:
        assert int(answer.headers["retry-after"]) > 0


def _strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value, without the names in objects, which are no secret."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


class Attack:
    """Sends requests to one server, and checks each answer."""

    def __init__(self, server: Service) -> None:
        self.server = server
        self._http = server.client()

    def __call__(
        self,
        method: str,
        path: str,
        expected: Expected | None = None,
        *,
        token: str | bytes | SignedIn | None = None,
        headers: dict[str, Any] | None = None,
        json: Any = None,
        **more: Any,
    ) -> Answer:
        """The answer to a request, which must have the `expected` status, or status and code."""
        bearer = token
        if token is not None and not isinstance(token, str | bytes):
            bearer = token.tokens["access_token"]
        given = dict(headers or {})
        if bearer is not None:
            text = bearer.encode() if isinstance(bearer, str) else bearer
            given["Authorization"] = b"Bearer " + text
        if json is not None:  # escapes lone surrogates, so that they can be sent too
            text = standard.dumps(json, ensure_ascii=False)
            more["content"] = text.encode(errors="backslashreplace")
            given.setdefault("Content-Type", "application/json")
        response = self._http.request(method, path, headers=given, **more)
        sent = [json, more.get("params"), list((headers or {}).values()), bearer]
        answer = check(_read(response), method, sent)
        _expect(answer, expected, f"{method} {path}")
        return answer

    def raw(self, data: bytes, expected: Expected | None = None, token: str = "") -> Answer:
        """The answer to bytes on a new connection; `token` replaces `{token}`."""
        answer = check(raw.exchange(self.server.url, data, token), data[:4].decode().strip())
        _expect(answer, expected, repr(data[:500]))
        return answer

    def pipelined(self, data: bytes, token: str = "", *, then: bytes = b"") -> list[Answer]:
        """All answers to bytes on one connection, which the last request must ask to close; `then`
        is sent after the first answer has begun."""
        with raw.connected(self.server.url) as connection:
            connection.sendall(data.replace(b"{token}", token.encode()))
            with connection.makefile("rb") as incoming:
                incoming.peek(1)
                connection.sendall(then)
                return [check(answer) for answer in raw.answers(incoming)]

    def is_well(self) -> bool:
        """Whether the server answers, with its database."""
        return bool(self._http.get("/health/ready").json()["status"] == "ok")


def at_once(*calls: Callable[[], Answer]) -> list[Answer]:
    """The answers to calls that start together, each in its own thread."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Answer]) -> Answer:
        barrier.wait()
        return call()

    with racing(), ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def told(answers: list[Answer]) -> Counter[tuple[int, str | None]]:
    """Counts the answers by status and code."""
    return Counter((answer.status, answer.code) for answer in answers)


def on(*databases: str) -> Any:
    """For `pytestmark`: run on these databases only, because others answer the same."""
    return pytest.mark.parametrize("server", databases, indirect=True)


def table(columns: str | tuple[str, ...], rows: dict[str, Any]) -> Any:
    """Parametrises a test with named rows."""
    return pytest.mark.parametrize(columns, rows.values(), ids=rows)


def _read(response: httpx.Response) -> Answer:
    return Answer(response.status_code, dict(response.headers), response.content, closed=False)


def _expect(answer: Answer, expected: Expected | None, request: str) -> None:
    told = answer.status if isinstance(expected, int) else (answer.status, answer.code)
    assert expected is None or told == expected, f"{request}: {answer.body[:2000]!r}"
