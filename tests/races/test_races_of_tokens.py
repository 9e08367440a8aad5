"""Personal tokens made and ended concurrently: ending them wins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete, func, select

from service.models import PersonalToken, Session, User
from service.models.personal_tokens import MAX_TOKENS_PER_USER
from tests.kit.at_once import ANY, ROUNDS, Answering, at_once, bearer, codes, statuses
from tests.kit.attack import on
from tests.kit.personal_tokens import give
from tests.kit.serving import PASSWORD, Person, Server

WANTED = {"name": "A program", "scopes": ["account:read"]}
RESET = "Choose a new password"


def creating(http: httpx.Client, person: Person) -> Answering:
    access = bearer(person.tokens["access_token"])
    return partial(http.post, "/auth/tokens", json=WANTED, headers=access)


def living(server: Server, person: Person) -> int:
    [[number]] = server.execute(
        select(func.count()).where(PersonalToken.user_id == person.id)  # none has expired
    )
    return int(number)


def test_a_thief_makes_no_token_that_outlasts_a_reset(server: Server, crowd: httpx.Client) -> None:
    for _ in range(ROUNDS):
        anna = server.sign_up()
        crowd.post("/auth/password-resets", json={"email": anna.email})
        token = server.mailbox.token(anna.email, RESET)
        body = {"token": token, "new_password": f"{PASSWORD}, again"}
        reset, *made = at_once(
            partial(crowd.post, "/auth/password-resets/complete", json=body),
            *[creating(crowd, anna)] * 4,
        )
        assert reset.status_code == 204
        assert statuses(made).keys() <= {201, 401}
        assert codes(made) <= {"session-revoked"}
        assert living(server, anna) == 0


# SQLite lets nobody write between the check of the session and the lock.
@on("postgresql")
def test_a_session_that_ends_just_before_makes_no_token(
    server: Server, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = User.standing

    def be_late(user_id: UUID) -> dict[str, Any]:
        with ThreadPoolExecutor(1) as another:  # a transaction of its own
            another.submit(
                server.execute, delete(Session).where(Session.user_id == anna.id)
            ).result()
        return lock(user_id)

    monkeypatch.setattr(User, "standing", be_late)
    answer = anna.http.post("/auth/tokens", json=WANTED)
    assert (answer.status_code, answer.json()["code"]) == (401, "session-revoked")
    assert living(server, anna) == 0


def test_no_token_outlasts_a_disabled_account(
    server: Server, crowd: httpx.Client, admin: Person
) -> None:
    for _ in range(ROUNDS):
        anna = server.sign_up()
        disable = partial(
            admin.http.patch, f"/api/users/{anna.id}", json={"disabled": True}, headers=ANY
        )
        disabled, *made = at_once(disable, *[creating(crowd, anna)] * 4)
        assert disabled.status_code == 200
        assert statuses(made).keys() <= {201, 401}
        assert living(server, anna) == 0


def test_concurrent_requests_exceed_no_number_of_tokens(
    server: Server, crowd: httpx.Client, anna: Person
) -> None:
    for _ in range(MAX_TOKENS_PER_USER - 2):
        give(anna)
    answers = at_once(*[creating(crowd, anna)] * 6)
    assert statuses(answers) == {201: 2, 409: 4}
    assert codes(answers) == {"too-many-tokens"}
    assert living(server, anna) == MAX_TOKENS_PER_USER


def test_of_many_who_find_a_token_one_is_reported(
    server: Server, crowd: httpx.Client, anna: Person
) -> None:
    body = {"token": give(anna)}
    answers = at_once(*[partial(crowd.post, "/auth/tokens/leaked", json=body)] * 6)
    assert statuses(answers) == {204: 6}
    events = anna.http.get("/api/audit-events", params={"action": "personal-token-leaked"})
    assert len(events.json()) == 1


def test_many_first_uses_of_a_token_at_once_all_succeed(
    server: Server, crowd: httpx.Client, anna: Person
) -> None:
    token = bearer(give(anna, "account:read"))
    answers = at_once(*[partial(crowd.get, "/auth/me", headers=token)] * 12)
    assert statuses(answers) == {200: 12}
