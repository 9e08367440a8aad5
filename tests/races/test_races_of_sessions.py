"""Sessions refreshed, started and ended concurrently: ending them wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import httpx
import jwt
import pytest

from service.domain import passwords
from service.models import AuditEvent, Session
from tests.kit.at_once import (
    ANY,
    ROUNDS,
    Answering,
    at_once,
    bearer,
    codes,
    rows,
    signing_in,
    statuses,
)
from tests.kit.serving import PASSWORD, Person, Server

pytestmark = pytest.mark.usefixtures("races_hashing_in_full")


def refreshing(http: httpx.Client, tokens: dict[str, Any]) -> Answering:
    return partial(http.post, "/auth/refresh", headers=bearer(tokens["refresh_token"]))


def claims(answer: httpx.Response) -> dict[str, Any]:
    """What the refresh token of the answer says."""
    token = answer.json()["refresh_token"]
    return jwt.decode(token, options={"verify_signature": False})


@pytest.fixture
def elsewhere(server: Server, serve: Callable[..., Server]) -> Iterator[httpx.Client]:
    """A client of another server on the same database."""
    with serve(database_url=server.settings.database_url).client() as client:
        yield client


def test_twenty_concurrent_refreshes_with_one_token_rotate_once(
    crowd: httpx.Client, anna: Person
) -> None:
    answers = at_once(*[refreshing(crowd, anna.tokens)] * 20)
    assert statuses(answers) == {200: 20}
    assert {claims(answer)["gen"] for answer in answers} == {1}
    repeated = (AuditEvent.user_id == anna.id, AuditEvent.action == "refresh-repeated")
    assert rows(anna.server, *repeated) == 19
    for answer in answers:
        access = bearer(answer.json()["access_token"])
        assert crowd.get("/auth/me", headers=access).status_code == 200
    later = at_once(*[refreshing(crowd, answer.json()) for answer in answers])
    assert statuses(later) == {200: 20}
    assert {claims(answer)["gen"] for answer in later} == {2}


def test_signing_out_wins_over_refreshing(server: Server, crowd: httpx.Client) -> None:
    email = server.sign_up().email
    for _ in range(ROUNDS):
        tokens = server.sign_in(email).tokens
        access = bearer(tokens["access_token"])
        logout, *answers = at_once(
            partial(crowd.post, "/auth/logout", headers=access),
            *[refreshing(crowd, tokens)] * 4,
        )
        assert logout.status_code == 204
        assert statuses(answers).keys() <= {200, 401}
        assert codes(answers) <= {"session-revoked"}
        for pair in (tokens, *(answer.json() for answer in answers if answer.is_success)):
            me = crowd.get("/auth/me", headers=bearer(pair["access_token"]))
            again = refreshing(crowd, pair)()
            assert (me.status_code, again.status_code) == (401, 401)
            assert codes([me, again]) == {"session-revoked"}


def test_a_new_password_wins_over_refreshing(server: Server, crowd: httpx.Client) -> None:
    password = PASSWORD
    email = server.sign_up().email
    for number in range(ROUNDS):
        tokens = server.sign_in(email, password).tokens
        body = {"current_password": password, "new_password": f"{PASSWORD} no. {number}"}
        password = body["new_password"]
        access = bearer(tokens["access_token"])
        put = partial(crowd.put, "/auth/password", json=body, headers=access)
        changed, *answers = at_once(put, *[refreshing(crowd, tokens)] * 4)
        assert changed.status_code == 200
        assert statuses(answers).keys() <= {200, 401}
        assert codes(answers) <= {"session-revoked"}
        for pair in (tokens, *(answer.json() for answer in answers if answer.is_success)):
            me = crowd.get("/auth/me", headers=bearer(pair["access_token"]))
            again = refreshing(crowd, pair)()
            assert (me.status_code, again.status_code) == (401, 401)
            assert codes([me, again]) == {"session-revoked"}
        assert refreshing(crowd, changed.json())().status_code == 200


@pytest.fixture(params=["disabling", "new password"])
def ending(request: pytest.FixtureRequest, anna: Person, admin: Person) -> Answering:
    """A call that ends every other session of Anna."""
    if request.param == "disabling":
        path = f"/api/users/{anna.id}"
        return partial(admin.http.patch, path, json={"disabled": True}, headers=ANY)
    body = {"current_password": PASSWORD, "new_password": "seven purple herons at dawn"}
    return partial(anna.http.put, "/auth/password", json=body)


def test_no_starting_session_survives_an_event_that_ends_sessions(
    ending: Answering,
    elsewhere: httpx.Client,
    server: Server,
    anna: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, ended = Session.start, []

    def start_late(**session: Any) -> str:
        monkeypatch.undo()  # a new password starts a session, too
        ended.append(threads.submit(ending))
        wait(ended, timeout=0.3)  # it must not get through before there is something to end
        return start(**session)

    monkeypatch.setattr(Session, "start", start_late)
    with ThreadPoolExecutor(1) as threads:
        login = signing_in(elsewhere, anna.email, PASSWORD)()
    assert login.status_code == 200
    assert ended[0].result().is_success
    assert rows(server, Session.id == claims(login)["sid"]) == 0


def test_no_session_starts_after_an_event_that_ends_sessions(
    ending: Answering, elsewhere: httpx.Client, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    matches, ended = passwords.matches, []

    def match_late(stored: str | None, password: str) -> bool:
        monkeypatch.undo()
        ended.append(ending())
        return matches(stored, password)

    monkeypatch.setattr(passwords, "matches", match_late)
    login = signing_in(elsewhere, anna.email, PASSWORD)()
    assert ended[0].is_success
    assert (login.status_code, login.json()["code"]) == (401, "invalid-credentials")
    failed = (AuditEvent.user_id == anna.id, AuditEvent.action == "login-failed")
    assert rows(anna.server, *failed) == 1


def test_twenty_sign_ins_at_once_leave_a_hundred_sessions(
    server: Server, crowd: httpx.Client, anna: Person
) -> None:
    for _ in range(99):
        server.sign_in(anna.email)
    assert rows(server, Session.user_id == anna.id) == 100
    answers = at_once(*[signing_in(crowd, anna.email, PASSWORD)] * 20)
    assert statuses(answers) == {200: 20}
    assert rows(server, Session.user_id == anna.id) == 100
    for answer in answers:
        me = crowd.get("/auth/me", headers=bearer(answer.json()["access_token"]))
        assert me.status_code == 200
