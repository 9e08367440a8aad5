"""An answer in chunks is whole, or it does not look so; and it leaves nothing behind."""

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
from service.handlers import auth
from service.models import Post, User
from tests.kit.accounts import patch
from tests.kit.exports import (
    PATH,
    borrowed,
    connected,
    give_posts,
    in_flight,
    lines,
    request,
    rest,
    wait_until,
)
from tests.kit.serving import PASSWORD, Person, Server

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
def _nothing_stays(server: Server) -> Any:
    yield
    wait_until(
        lambda: in_flight(server.url) == borrowed(server) == 0, "something is still going on"
    )


@pytest.fixture
def author(anna: Person) -> Person:
    """Anna with four pages of posts, each of them a chunk."""
    give_posts(anna, ["x" * (CHUNK_BYTES // ITEMS_PER_PART)] * 4 * ITEMS_PER_PART)
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
    """Do something before this page of posts is read."""
    listing, read = Post.listing, []

    def listing_and_more(*arguments: Any, **filters: Any) -> Any:
        read.append(1)
        if len(read) == number:
            act()
        return listing(*arguments, **filters)

    monkeypatch.setattr(Post, "listing", listing_and_more)


def throw(error: BaseException) -> Any:
    raise error


def cut_off(person: Person, *headers: str) -> bytes:
    """The body of an export that the server has ended without its end."""
    with connected(person.server.url, request(person.http, *headers)) as connection:
        head, _, body = rest(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert not body.endswith(b"0\r\n\r\n")
    return body


@each_failure
@pytest.mark.parametrize("page", [2, 3, 5])
def test_a_failure_in_the_middle_cuts_it_off(
    page: int, failure: BaseException, author: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_page(page, monkeypatch, lambda: throw(failure))
    body = cut_off(author)
    assert body.count(b'{"type":"post"') == (page - 1) * ITEMS_PER_PART
    assert b"problem" not in body


def test_a_client_notices_that_it_is_cut_off(
    author: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_page(2, monkeypatch, lambda: throw(RuntimeError("a bug")))
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
        author.http.get(PATH)


@each_failure
@pytest.mark.parametrize("where", [(auth, "_belongings"), (User, "account"), (Post, "listing")])
def test_a_failure_before_the_first_line_is_a_problem(
    where: tuple[Any, str],
    failure: BaseException,
    author: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(*where, lambda *_, **__: throw(failure))
    answer = author.http.get(PATH)
    expected = 503 if isinstance(failure, Unavailable | OperationalError) else 500
    assert answer.status_code == expected
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == expected
    assert "Content-Disposition" not in answer.headers


def test_a_failed_stream_is_logged_once_with_its_request_id(
    author: Person, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_page(2, monkeypatch, lambda: throw(RuntimeError("a bug")))
    cut_off(author, "X-Request-Id: the-one")
    [bug] = [record for record in logged.records if record.exc_info]
    assert bug.getMessage() == "request the-one failed"


ENDS: dict[str, Callable[[Person, Person], httpx.Response]] = {
    "logout": lambda anna, _: anna.http.post("/auth/logout"),
    "another password": lambda anna, _: anna.server.sign_in(anna.email).http.put(
        "/auth/password",
        json={"current_password": PASSWORD, "new_password": "seven purple herons"},
    ),
    "disabling": lambda anna, admin: patch(admin.http, anna, disabled=True),
    "deletion": lambda anna, admin: admin.http.delete(f"/api/users/{anna.id}"),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_ending_a_session_ends_its_stream(
    end: Callable[[Person, Person], httpx.Response],
    author: Person,
    admin: Person,
    logged: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = []
    before_page(2, monkeypatch, lambda: ended.append(end(author, admin)))
    assert cut_off(author, "X-Request-Id: the-one").count(b'{"type":"post"') == ITEMS_PER_PART
    assert ended[0].is_success
    ours = [record for record in logged.records if record.name.startswith("service.")]
    assert [record.getMessage() for record in ours] == [
        "request the-one was cut off: session-revoked"
    ]
    assert not any(record.exc_info for record in logged.records)


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
    at_once: bool, author: Person
) -> None:
    targets = [LIVE, f"GET {PATH}", LIVE, f"GET {PATH}", f"GET {PATH}", LIVE]
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
            assert [line["type"] for line in lines(body)].count("post") == 4 * ITEMS_PER_PART


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
def test_an_unexpected_body_changes_nothing(
    headers: list[str], body: bytes, author: Person
) -> None:
    data = request(author.http, "Connection: close", *headers) + body
    with connected(author.server.url, data) as connection:
        received = rest(connection).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    [(status, exported)] = responses(received)
    assert status == 200
    assert [line["type"] for line in lines(exported)].count("post") == 4 * ITEMS_PER_PART


def test_several_at_once_share_a_small_pool(serve: Callable[..., Server], server: Server) -> None:
    small = serve(database_url=server.settings.database_url, worker_threads=1)
    people = [small.sign_up() for _ in range(8)]
    for person in people:
        give_posts(person, [person.id * (CHUNK_BYTES // ITEMS_PER_PART // 36)] * 4 * ITEMS_PER_PART)
    barrier = Barrier(2 * len(people))

    def export(person: Person) -> list[dict[str, Any]]:
        barrier.wait()
        return lines(person.http.get(PATH).content)

    def post(person: Person) -> dict[str, Any]:
        barrier.wait()
        return person.post()

    with ThreadPoolExecutor(2 * len(people)) as threads:
        posted = threads.map(post, people)
        for person, own in zip(people, threads.map(export, people), strict=True):
            contents = [line["content"] for line in own if line["type"] == "post"]
            assert sum(content.startswith(person.id) for content in contents) == 4 * ITEMS_PER_PART
            assert len(contents) <= 4 * ITEMS_PER_PART + 1
        assert all(posted)
    wait_until(lambda: in_flight(small.url) == borrowed(small) == 0, "something still goes on")
