"""Attacks by timing: what two do at once must not be more than either may do."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select

from service.models import Session, User
from tests.kit.attack import Attack, at_once, on, told
from tests.kit.serving import PASSWORD, Person, Server

ROUNDS = 3  # of a race that one side wins or the other
CROWD = 12
ANY = {"If-Match": "*"}
NEW = "seven purple herons at dawn"

pytestmark = [on("sqlite", "postgresql"), pytest.mark.usefixtures("races_hashing_in_full")]


def rows(server: Server, *conditions: Any) -> int:
    [[count]] = server.execute(select(func.count()).where(*conditions))
    return int(count)


def test_one_of_many_concurrent_deletes_of_a_user_succeeds(
    attack: Attack, anna: Person, admin: Person
) -> None:
    path = f"/api/users/{anna.id}"
    answers = at_once(
        *[partial(attack, "DELETE", path, token=admin)] * (CROWD // 2),
        *[partial(attack, "DELETE", path, token=anna)] * (CROWD // 2),
    )
    assert told(answers)[204, None] == 1
    assert told(answers).keys() <= {(204, None), (404, "not-found"), (401, "session-revoked")}


@pytest.mark.parametrize("how", ["one", "others"])
def test_a_revoked_session_can_do_nothing(
    attack: Attack, server: Server, anna: Person, how: str
) -> None:
    for _ in range(ROUNDS):
        thief = server.sign_in(anna.email)
        [_, session] = attack("GET", "/auth/sessions", 200, token=anna).json()
        path = f"/auth/sessions/{session['id']}" if how == "one" else "/auth/sessions"
        change = {"json": {"bio": "x"}, "headers": ANY}
        revoking, refreshed, *used = at_once(
            partial(attack, "DELETE", path, token=anna),
            partial(attack, "POST", "/auth/refresh", token=thief.tokens["refresh_token"]),
            *[partial(attack, "PATCH", f"/api/users/{anna.id}", token=thief, **change)] * 5,
        )
        assert revoking.status == 204
        assert told([refreshed, *used]).keys() <= {
            *[(200, None), (201, None), (401, "session-revoked")]
        }
        pairs = [thief.tokens, *([refreshed.json()] if refreshed.status == 200 else [])]
        for pair in pairs:
            attack("GET", "/auth/me", (401, "session-revoked"), token=pair["access_token"])
            attack("POST", "/auth/refresh", (401, "session-revoked"), token=pair["refresh_token"])
        assert attack("GET", "/auth/me", 200, token=anna).json()["id"] == anna.id


def test_a_demoted_admin_can_do_nothing_more(attack: Attack, server: Server, admin: Person) -> None:
    for _ in range(ROUNDS):
        other, anna = server.make_admin(server.sign_up()), server.verify(server.sign_up())
        path, email = f"/api/users/{anna.id}", f"{secrets.token_hex(6)}@example.com"
        demoting, *acting = at_once(
            partial(
                attack,
                "PATCH",
                f"/api/users/{other.id}",
                token=admin,
                json={"role": "user"},
                headers=ANY,
            ),
            partial(
                attack,
                "POST",
                "/api/users",
                token=other,
                json={"email": email, "password": PASSWORD, "role": "admin"},
            ),
            partial(attack, "PATCH", path, token=other, json={"role": "admin"}, headers=ANY),
            partial(attack, "GET", "/api/accounts", token=other),
        )
        assert demoting.status == 200
        assert {answer.status for answer in acting} <= {200, 201, 403}
        made, changed, _ = acting
        assert rows(server, User.email == email) == (made.status == 201)
        assert rows(server, User.id == anna.id, User.role == "admin") == (changed.status == 200)
        attack("GET", "/api/accounts", (403, "admin-required"), token=other)
        attack("PATCH", path, 403, token=other, json={"role": "user"}, headers=ANY)


def test_one_of_many_concurrent_password_changes_succeeds(
    attack: Attack, server: Server, anna: Person
) -> None:
    news = [f"{NEW} no. {number}" for number in range(6)]
    answers = at_once(
        *[
            partial(
                attack,
                "PUT",
                "/auth/password",
                token=anna,
                json={"current_password": PASSWORD, "new_password": new},
            )
            for new in news
        ]
    )
    assert told(answers)[200, None] == 1
    # Those that come later find another password, or already no session.
    refused = {(403, "current-password-wrong"), (401, "session-revoked")}
    assert told(answers).keys() - {(200, None)} <= refused
    won = news[[answer.status for answer in answers].index(200)]
    right = [
        attack("POST", "/auth/login", json={"email": anna.email, "password": password}).status
        for password in (won, PASSWORD, *(new for new in news if new != won))
    ]
    assert right == [200] + [401] * 6


def test_no_session_of_the_old_password_survives_the_new_one(
    attack: Attack, server: Server
) -> None:
    for _ in range(ROUNDS):
        anna = server.sign_up()
        credentials = {"email": anna.email, "password": PASSWORD}
        change = {"current_password": PASSWORD, "new_password": NEW}
        changing, *entering = at_once(
            partial(attack, "PUT", "/auth/password", token=anna, json=change),
            *[partial(attack, "POST", "/auth/login", json=credentials)] * 4,
        )
        assert changing.status == 200
        assert told(entering).keys() <= {(200, None), (401, "invalid-credentials")}
        assert rows(server, Session.user_id == anna.id) == 1
        for answer in entering:
            if answer.status == 200:
                token = answer.json()["access_token"]
                attack("GET", "/auth/me", (401, "session-revoked"), token=token)


def test_one_of_many_concurrent_requests_gets_a_name(
    attack: Attack, server: Server, anna: Person, ben: Person
) -> None:
    for _ in range(ROUNDS):
        name = f"n-{secrets.token_hex(6)}"
        new = {"email": f"{name}@example.com", "password": PASSWORD, "username": name}
        answers = at_once(
            *[
                partial(
                    attack,
                    "PATCH",
                    f"/api/users/{who.id}",
                    token=who,
                    json={"username": name},
                    headers=ANY,
                )
                for who in (anna, ben)
            ],
            partial(attack, "POST", "/auth/register", json=new),
        )
        assert sorted(answer.status for answer in answers)[1:] == [409, 409]
        assert rows(server, User.username == name) == 1


def test_two_holders_of_a_refresh_token_end_its_session(
    attack: Attack, server: Server, anna: Person
) -> None:
    # Of two lines of one session, the one that falls behind ends both.
    for _ in range(ROUNDS):
        person = server.sign_in(anna.email)
        token: str = person.tokens["refresh_token"]
        mine, theirs = (
            answer.json()
            for answer in at_once(*[partial(attack, "POST", "/auth/refresh", 200, token=token)] * 2)
        )
        ahead = attack("POST", "/auth/refresh", 200, token=mine["refresh_token"]).json()
        ahead = attack("POST", "/auth/refresh", 200, token=ahead["refresh_token"]).json()
        attack("POST", "/auth/refresh", (401, "token-reused"), token=theirs["refresh_token"])
        attack("GET", "/auth/me", (401, "session-revoked"), token=ahead["access_token"])
