"""The export ends with the session that asked for it, and fails as it should (what holds of every
stream is in engine/test_streams)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from service.engine.ids import new_id
from service.engine.problems import Unavailable
from service.engine.spec import operation
from service.engine.spec.paging import ITEMS_PER_PART
from service.handlers import auth
from service.models import AuditEvent, User
from tests.kit.accounts import patch
from tests.kit.exports import PATH, borrowed, connected, in_flight, request, rest, wait_until
from tests.kit.serving import PASSWORD, Person, Server


@pytest.fixture(autouse=True)
def _nothing_stays(server: Server) -> Any:
    yield
    wait_until(
        lambda: in_flight(server.url) == borrowed(server) == 0, "something is still going on"
    )


@pytest.fixture
def author(anna: Person, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Anna with four pages of events, each of them a chunk."""
    monkeypatch.setattr(operation, "CHUNK_BYTES", 1)
    events = [
        {"id": new_id(), "action": "login", "actor_id": anna.id, "user_id": anna.id, "ip": ""}
        for _ in range(4 * ITEMS_PER_PART)
    ]
    anna.server.execute(sa.insert(AuditEvent), events)
    return anna


def before_second_page(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Do something before the second page of events is read."""
    of, read = AuditEvent.of, []

    def listing_and_more(*arguments: Any, **filters: Any) -> Any:
        read.append(1)
        if len(read) == 2:
            act()
        return listing(*arguments, **filters)

    def of_and_more(user_id: str) -> Any:
        nonlocal listing
        listing = of(user_id)
        return listing_and_more

    listing: Any = None
    monkeypatch.setattr(AuditEvent, "of", of_and_more)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Any:
    """What this service and uvicorn log."""
    caplog.set_level("WARNING")
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.addHandler(caplog.handler)
    yield caplog
    uvicorn.removeHandler(caplog.handler)


def throw(error: BaseException) -> Any:
    raise error


def cut_off(person: Person, *headers: str) -> bytes:
    """The body of an export that the server has ended without its end."""
    with connected(person.server.url, request(person.http, *headers)) as connection:
        head, _, body = rest(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert not body.endswith(b"0\r\n\r\n")
    return body


def test_a_failure_in_the_middle_cuts_it_off(
    author: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_second_page(monkeypatch, lambda: throw(RuntimeError("a bug")))
    body = cut_off(author)
    assert body.count(b'{"type":"audit_event"') == ITEMS_PER_PART
    assert b"problem" not in body


@pytest.mark.parametrize(
    ("failure", "status"), [(RuntimeError("a bug"), 500), (Unavailable(), 503)]
)
@pytest.mark.parametrize("where", [(auth, "_belongings"), (User, "account"), (AuditEvent, "of")])
def test_a_failure_is_no_whole_export(
    where: tuple[Any, str],
    failure: BaseException,
    status: int,
    anna: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(*where, lambda *_, **__: throw(failure))
    answer = anna.http.get(PATH)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Content-Disposition" not in answer.headers


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
    before_second_page(monkeypatch, lambda: ended.append(end(author, admin)))
    assert (
        cut_off(author, "X-Request-Id: the-one").count(b'{"type":"audit_event"') == ITEMS_PER_PART
    )
    assert ended[0].is_success
    ours = [record for record in logged.records if record.name.startswith("service.")]
    assert [record.getMessage() for record in ours] == [
        "request the-one was cut off: session-revoked"
    ]
    assert not any(record.exc_info for record in logged.records)
