"""A streamed answer is complete, or visibly cut off, and leaves nothing behind."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from threading import Barrier
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from service.engine.problems import Unavailable
from service.engine.spec.operation import CHUNK_BYTES
from service.engine.spec.paging import ITEMS_PER_PART
from service.engine.spec.validation import ResponseDrift
from tests.engine.planner.handlers import projects
from tests.engine.planner.models import Project
from tests.kit.exports import (
    borrowed,
    connected,
    in_flight,
    lines,
    request,
    rest,
    wait_until,
)
from tests.kit.planning import EXPORT, Owner, Planner, give_projects

LIVE = "GET /health/live"


class LockTimeout(Exception):
    sqlstate = "55P03"


FAILURES = [
    RuntimeError("a bug"),
    StopIteration(),
    ResponseDrift("a bug"),
    Unavailable("busy"),
    OperationalError("SELECT", {}, LockTimeout()),
]
each_failure = pytest.mark.parametrize("failure", FAILURES, ids=lambda error: type(error).__name__)


@pytest.fixture(autouse=True)
def _nothing_stays(server: Planner) -> Any:
    yield
    wait_until(
        lambda: in_flight(server.url) == borrowed(server) == 0, "something is still going on"
    )


@pytest.fixture
def author(anna: Owner) -> Owner:
    """Anna with four pages of projects, each of them a chunk."""
    give_projects(anna, ["x" * (CHUNK_BYTES // ITEMS_PER_PART)] * 4 * ITEMS_PER_PART)
    return anna


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Any:
    """What this service and uvicorn log."""
    caplog.set_level("WARNING")
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.addHandler(caplog.handler)
    yield caplog
    uvicorn.removeHandler(caplog.handler)


def before_page(number: int, monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Do something before this page of projects is read."""
    listing, read = Project.listing, []

    def listing_and_more(*arguments: Any, **filters: Any) -> Any:
        read.append(1)
        if len(read) == number:
            act()
        return listing(*arguments, **filters)

    monkeypatch.setattr(Project, "listing", listing_and_more)


def throw(error: BaseException) -> Any:
    raise error


def cut_off(person: Owner, *headers: str) -> bytes:
    """The body of an export that the server has ended without its end."""
    with connected(person.server.url, request(person.http, *headers, target=EXPORT)) as connection:
        head, _, body = rest(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert not body.endswith(b"0\r\n\r\n")
    return body


@each_failure
@pytest.mark.parametrize("page", [2, 3, 5])
def test_a_failure_in_the_middle_cuts_it_off(
    page: int, failure: BaseException, author: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_page(page, monkeypatch, lambda: throw(failure))
    body = cut_off(author)
    assert body.count(b'{"type":"project"') == (page - 1) * ITEMS_PER_PART
    assert b"problem" not in body


def test_a_client_notices_that_it_is_cut_off(
    author: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_page(2, monkeypatch, lambda: throw(RuntimeError("a bug")))
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        author.http.get("/export")


@each_failure
@pytest.mark.parametrize("where", [(projects, "_projects"), (Project, "listing")])
def test_a_failure_before_the_first_line_is_a_problem(
    where: tuple[Any, str],
    failure: BaseException,
    author: Owner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(*where, lambda *_, **__: throw(failure))
    answer = author.http.get("/export")
    expected = 503 if isinstance(failure, Unavailable | OperationalError) else 500
    assert answer.status_code == expected
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == expected
    assert "Content-Disposition" not in answer.headers


def test_a_failed_stream_is_logged_once_with_its_request_id(
    author: Owner, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_page(2, monkeypatch, lambda: throw(RuntimeError("a bug")))
    cut_off(author, "X-Request-Id: the-one")
    [bug] = [record for record in logged.records if record.exc_info]
    assert bug.getMessage() == "request the-one failed"


class _Received(io.BytesIO):
    """Bytes as a connection from which one response after the other is read."""

    def makefile(self, _mode: str) -> _Received:
        return self

    def close(self) -> None:
        pass


def responses(received: bytes) -> list[tuple[int, bytes]]:
    """(status, body) of each response in what came on one connection."""
    connection: Any = _Received(received)
    found = []
    while connection.tell() < len(received):
        response = HTTPResponse(connection)
        response.begin()
        found.append((response.status, response.read()))
    return found


@pytest.mark.parametrize("at_once", [True, False])
def test_other_requests_on_the_connection_have_their_answers_in_order(
    at_once: bool, author: Owner
) -> None:
    targets = [LIVE, EXPORT, LIVE, EXPORT, EXPORT, LIVE]
    requests = [request(author.http, target=target) for target in targets[:-1]]
    requests.append(request(author.http, "Connection: close", target=targets[-1]))
    with connected(author.server.url, b"".join(requests) if at_once else requests[0]) as connection:
        for later in [] if at_once else requests[1:]:
            connection.sendall(later)
        answers = responses(rest(connection))
    assert [status for status, _ in answers] == [200] * len(targets)
    for target, (_, body) in zip(targets, answers, strict=True):
        if target == LIVE:
            assert json.loads(body) == {"status": "ok"}
        else:
            assert [line["type"] for line in lines(body)].count("project") == 4 * ITEMS_PER_PART


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (["Content-Length: 9"], b"123456789"),
        (["Transfer-Encoding: chunked"], b"3\r\nabc\r\n0\r\n\r\n"),
        (["Expect: 100-continue", "Content-Length: 3"], b"abc"),
        (["Content-Length: 9"], b"1234"),
    ],
    ids=["sized", "chunked", "expected", "unfinished"],
)
def test_an_unexpected_body_changes_nothing(headers: list[str], body: bytes, author: Owner) -> None:
    data = request(author.http, "Connection: close", *headers, target=EXPORT) + body
    with connected(author.server.url, data) as connection:
        received = rest(connection).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    [(status, exported)] = responses(received)
    assert status == 200
    assert [line["type"] for line in lines(exported)].count("project") == 4 * ITEMS_PER_PART


def test_several_at_once_share_a_small_pool(serve: Callable[..., Planner], server: Planner) -> None:
    small = serve(database_url=server.settings.database_url, worker_threads=1)
    people = [small.sign_up() for _ in range(8)]
    for person in people:
        give_projects(
            person, [person.id * (CHUNK_BYTES // ITEMS_PER_PART // 36)] * 4 * ITEMS_PER_PART
        )
    barrier = Barrier(2 * len(people))

    def export(person: Owner) -> list[dict[str, Any]]:
        barrier.wait()
        return lines(person.http.get("/export").content)

    def begin(person: Owner) -> dict[str, Any]:
        barrier.wait()
        return person.project()

    with ThreadPoolExecutor(2 * len(people)) as threads:
        begun = threads.map(begin, people)
        for person, own in zip(people, threads.map(export, people), strict=True):
            notes = [line["notes"] for line in own if line["type"] == "project"]
            assert sum(text.startswith(person.id) for text in notes) == 4 * ITEMS_PER_PART
            assert len(notes) <= 4 * ITEMS_PER_PART + 1
        assert all(begun)
    wait_until(lambda: in_flight(small.url) == borrowed(small) == 0, "something still goes on")
