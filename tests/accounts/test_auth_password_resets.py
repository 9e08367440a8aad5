"""Resetting a password by mail, which reveals nothing to others."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import func, select

from service.models import Session
from tests.kit.accounts import patch, told
from tests.kit.mailbox import text
from tests.kit.mails import (
    NEW_PASSWORD,
    RESET,
    all_sent,
    fresh,
    mailed,
    request_reset,
    reset,
)
from tests.kit.serving import PASSWORD, Person, Server

KIND = "password-reset"


def login(http: httpx.Client, email: str, password: str) -> httpx.Response:
    return http.post("/auth/login", json={"email": email, "password": password})


def refresh(person: Person) -> httpx.Response:
    with person.server.client(person.tokens["refresh_token"]) as client:
        return client.post("/auth/refresh")


def sessions(server: Server, person: Person) -> int:
    [[count]] = server.execute(select(func.count()).where(Session.user_id == person.id))
    return int(count)


# request_password_reset


def test_a_mail_with_a_link_comes_to_the_address(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    answer = request_reset(anonymous, anna.email)
    assert (answer.status_code, answer.content) == (202, b"")
    [mail] = server.mailbox.wait(anna.email, RESET)
    token = server.mailbox.token(anna.email, RESET)
    assert f"{server.settings.public_url}/#/reset-password?token={token}" in text(mail)
    assert anna.username not in str(mail)


@pytest.mark.parametrize("e", ["E", "\uff45", "\uff25", "\u24d4", "\U0001d41e"])
def test_however_an_address_is_spelled_it_is_one_account(
    e: str, anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    assert request_reset(anonymous, anna.email.replace("e", e)).status_code == 202
    token = server.mailbox.token(anna.email, RESET)
    assert reset(anonymous, token).status_code == 204
    assert server.sign_in(anna.email, NEW_PASSWORD).id == anna.id


def test_a_reset_request_does_not_reveal_whether_an_account_exists(
    anonymous: httpx.Client, server: Server, anna: Person, ben: Person, admin: Person
) -> None:
    assert patch(admin.http, ben, disabled=True).status_code == 200
    unknown, seen = fresh(), []
    for email in (unknown, anna.email, ben.email):
        answer = request_reset(anonymous, email)
        for differing in ("x-request-id", "date"):
            answer.headers.pop(differing, None)
        seen.append((answer.status_code, answer.content, answer.headers.multi_items()))
    assert seen[0] == seen[1] == seen[2]
    all_sent(server)
    assert [len(server.mailbox.to(email, RESET)) for email in (unknown, anna.email)] == [0, 1]
    assert server.mailbox.to(ben.email, RESET) == []


@pytest.mark.parametrize("email", ["", "anna", "anna@", " {}", "{} ", "{}\n", "x" * 250 + "@x.de"])
def test_a_malformed_address_is_refused(email: str, anonymous: httpx.Client, anna: Person) -> None:
    answer = request_reset(anonymous, email.format(anna.email))
    assert told(answer) == (400, "invalid-request")
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/email"}


def test_a_reset_request_changes_nothing_yet(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    mailed(KIND, anna)
    assert anna.http.get("/auth/me").json() == anna.tokens["user"]
    assert refresh(anna).status_code == 200
    assert login(anonymous, anna.email, PASSWORD).status_code == 200


# complete_password_reset


def test_the_new_password_replaces_the_old_one(anonymous: httpx.Client, anna: Person) -> None:
    assert reset(anonymous, mailed(KIND, anna)).status_code == 204
    assert told(login(anonymous, anna.email, PASSWORD)) == (401, "invalid-credentials")
    again = login(anonymous, anna.email, NEW_PASSWORD)
    assert again.json()["user"] == anna.tokens["user"] | {
        "email_verified": True,
        "updated_at": again.json()["user"]["updated_at"],
    }


def test_a_reset_ends_every_session_and_starts_none(
    anonymous: httpx.Client, server: Server, anna: Person, ben: Person
) -> None:
    again = server.sign_in(anna.email)
    answer = reset(anonymous, mailed(KIND, anna))
    assert (answer.status_code, answer.content) == (204, b"")
    assert {"set-cookie", "authorization"}.isdisjoint(answer.headers)
    for person in (anna, again):
        assert told(person.http.get("/auth/me")) == (401, "session-revoked")
        assert told(refresh(person)) == (401, "session-revoked")
    assert sessions(server, anna) == 0
    assert ben.http.get("/auth/me").status_code == 200


def test_a_reset_verifies_the_address(anonymous: httpx.Client, server: Server) -> None:
    person = server.sign_up()
    assert person.tokens["user"]["email_verified"] is False
    before = person.http.get("/auth/me").headers["etag"]
    assert reset(anonymous, mailed(KIND, person)).status_code == 204
    again = server.sign_in(person.email, NEW_PASSWORD)
    me = again.http.get("/auth/me")
    assert me.json()["email_verified"] is True
    assert me.headers["etag"] != before


def test_a_second_reset_changes_nothing_but_the_password(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    assert reset(anonymous, mailed(KIND, anna)).status_code == 204
    before = server.sign_in(anna.email, NEW_PASSWORD).http.get("/auth/me")
    assert reset(anonymous, mailed(KIND, anna, time=2), "another one of mine").status_code == 204
    after = server.sign_in(anna.email, "another one of mine").http.get("/auth/me")
    assert (after.json(), after.headers["etag"]) == (before.json(), before.headers["etag"])


@pytest.mark.parametrize(
    ("password", "code", "reason"),
    [
        ("password1", "weak-password", "common"),
        ("{person.email}", "weak-password", "e-mail address"),
        ("{person.username}", "weak-password", "user name"),
        ("2short", "invalid-request", ""),
        ("x" * 257, "invalid-request", ""),
    ],
)
def test_a_weak_password_leaves_the_token_good(
    password: str, code: str, reason: str, anonymous: httpx.Client, anna: Person
) -> None:
    token = mailed(KIND, anna)
    weak = password.format(person=anna)
    answer = reset(anonymous, token, weak)
    assert told(answer) == (400, code)
    assert reason in answer.json()["detail"]
    assert weak not in answer.text
    assert anna.http.get("/auth/me").json() == anna.tokens["user"]
    assert login(anonymous, anna.email, PASSWORD).status_code == 200
    assert reset(anonymous, token).status_code == 204


def test_a_password_is_called_weak_only_if_the_token_is_valid(anonymous: httpx.Client) -> None:
    assert told(reset(anonymous, "x", "password1")) == (400, "token-invalid")


def test_a_reset_unlocks_an_account_that_was_guessed_at(
    serve: Callable[..., Server], server: Server, anna: Person, ben: Person
) -> None:
    ample = dict.fromkeys(("client", "login"), "10000 per day")
    guarded = serve(
        database_url=server.settings.database_url,
        mail_dir=server.settings.mail_dir,
        rate_limit_enabled=True,
        rate_limits=ample | {"account": "2 per day"},
    )
    token = mailed(KIND, anna)
    with guarded.client() as client:
        for person in (anna, ben):
            tries = [login(client, person.email, "wrong").status_code for _ in range(3)]
            assert tries == [401, 401, 429]
        assert told(reset(client, "x")) == (400, "token-invalid")
        assert login(client, anna.email, PASSWORD).status_code == 429
        assert reset(client, token).status_code == 204
        assert login(client, anna.email, NEW_PASSWORD).status_code == 200
        assert login(client, ben.email, PASSWORD).status_code == 429
