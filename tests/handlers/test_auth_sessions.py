"""Sessions: how a refresh token rotates, how a session ends, and what a new password ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import insert, update

from service.ids import new_id, rfc3339
from service.models import Session
from tests.conftest import PASSWORD, Person, Server

UNKNOWN = "0198c0de-0000-7000-8000-000000000001"
NEW = "seven purple herons at dawn"


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def call(http: httpx.Client, method: str, path: str, token: str) -> httpx.Response:
    return http.request(method, path, headers={"Authorization": f"Bearer {token}"})


def refresh(http: httpx.Client, tokens: dict[str, Any]) -> httpx.Response:
    return call(http, "POST", "/auth/refresh", tokens["refresh_token"])


def me(http: httpx.Client, tokens: dict[str, Any]) -> httpx.Response:
    return call(http, "GET", "/auth/me", tokens["access_token"])


def generation(tokens: dict[str, Any]) -> int:
    claims = jwt.decode(tokens["refresh_token"], options={"verify_signature": False})
    return int(claims["gen"])


def session_id(person: Person) -> str:
    claims = jwt.decode(person.tokens["access_token"], options={"verify_signature": False})
    return str(claims["sid"])


def ago(**time: float) -> str:
    return rfc3339(datetime.now(UTC) - timedelta(**time))


def move(server: Server, person: Person, **times: str) -> None:
    """Let a session have happened at another time."""
    server.execute(update(Session).where(Session.id == session_id(person)).values(times))


@pytest.fixture
def again(server: Server, anna: Person) -> Person:
    """Anna once more, in a session that she has started later."""
    return server.sign_in(anna.email)


# refresh


def test_refreshing_gives_the_next_pair(anonymous: httpx.Client, anna: Person) -> None:
    answer = refresh(anonymous, anna.tokens)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    pair = answer.json()
    assert pair.keys() == anna.tokens.keys() - {"user"}
    assert generation(pair) == generation(anna.tokens) + 1
    assert me(anonymous, pair).json() == anna.tokens["user"]
    assert refresh(anonymous, pair).status_code == 200


def test_the_token_before_gets_the_current_pair_again_for_ten_seconds(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    first = refresh(anonymous, anna.tokens).json()
    move(server, anna, last_used_at=ago(seconds=6))
    second = refresh(anonymous, anna.tokens).json()
    assert generation(first) == generation(second)
    for pair in (first, second):
        assert me(anonymous, pair).status_code == 200
        assert refresh(anonymous, pair).status_code == 200


def test_the_token_before_is_a_reuse_after_ten_seconds(
    anonymous: httpx.Client, server: Server, anna: Person, again: Person
) -> None:
    pair = refresh(anonymous, anna.tokens).json()
    move(server, anna, last_used_at=ago(seconds=10.5))
    assert told(refresh(anonymous, anna.tokens)) == (401, "token-reused")
    assert told(refresh(anonymous, anna.tokens)) == (401, "session-revoked")
    assert told(refresh(anonymous, pair)) == (401, "session-revoked")
    assert told(me(anonymous, pair)) == (401, "session-revoked")
    assert me(anonymous, again.tokens).status_code == 200


def test_an_older_token_is_a_reuse_at_once(anonymous: httpx.Client, anna: Person) -> None:
    first = refresh(anonymous, anna.tokens).json()
    second = refresh(anonymous, first).json()
    answer = refresh(anonymous, anna.tokens)
    assert told(answer) == (401, "token-reused")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    for pair in (anna.tokens, first, second):
        assert told(refresh(anonymous, pair)) == (401, "session-revoked")
        assert told(me(anonymous, pair)) == (401, "session-revoked")


def test_a_repetition_does_not_make_the_ten_seconds_longer(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    refresh(anonymous, anna.tokens)
    moment = ago(seconds=6)
    move(server, anna, last_used_at=moment)
    refresh(anonymous, anna.tokens)
    [session] = anna.http.get("/auth/sessions").json()
    assert session["last_used_at"] == moment


def test_a_session_ends_for_good_at_its_end(
    anonymous: httpx.Client, server: Server, anna: Person, again: Person
) -> None:
    move(server, anna, expires_at=ago(seconds=1))
    assert told(refresh(anonymous, anna.tokens)) == (401, "session-revoked")
    assert told(me(anonymous, anna.tokens)) == (401, "session-revoked")
    [session] = again.http.get("/auth/sessions").json()
    assert session["id"] == session_id(again)


def test_no_token_claims_to_last_longer_than_its_session(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    move(server, anna, expires_at=ago(minutes=-5))
    for _ in range(2):  # nor does refreshing move the end of the session
        pair = refresh(anonymous, anna.tokens).json()
        assert 0 < pair["refresh_expires_in"] <= 300
        assert 0 < pair["expires_in"] <= 300


# logout


@pytest.mark.parametrize("token", ["access_token", "refresh_token"])
def test_signing_out_ends_the_session_at_once(
    token: str, anonymous: httpx.Client, anna: Person, again: Person
) -> None:
    answer = call(anonymous, "POST", "/auth/logout", anna.tokens[token])
    assert (answer.status_code, answer.content) == (204, b"")
    assert told(me(anonymous, anna.tokens)) == (401, "session-revoked")
    assert told(refresh(anonymous, anna.tokens)) == (401, "session-revoked")
    assert me(anonymous, again.tokens).status_code == 200


def test_signing_out_ends_what_was_refreshed_too(anonymous: httpx.Client, anna: Person) -> None:
    pair = refresh(anonymous, anna.tokens).json()
    assert call(anonymous, "POST", "/auth/logout", anna.tokens["access_token"]).status_code == 204
    assert told(me(anonymous, pair)) == (401, "session-revoked")
    assert told(refresh(anonymous, pair)) == (401, "session-revoked")


# list_sessions, revoke_other_sessions, revoke_session


def test_a_user_sees_where_they_are_signed_in(server: Server, anna: Person, ben: Person) -> None:
    credentials = {"email": anna.email, "password": anna.password}
    with server.client(**{"User-Agent": "Netscape/4.7 " + "x" * 500}) as browser:
        Person(server, *credentials.values(), browser.post("/auth/login", json=credentials).json())
    newest, oldest = anna.http.get("/auth/sessions").json()
    assert oldest == {
        "id": session_id(anna),
        "created_at": oldest["created_at"],
        "last_used_at": oldest["created_at"],
        "ip": "127.0.0.1",
        "user_agent": oldest["user_agent"],
        "current": True,
    }
    assert oldest["user_agent"].startswith("python-httpx/")
    assert newest["user_agent"].startswith("Netscape/4.7 xxx")
    assert newest["current"] is False
    assert newest["id"] > oldest["id"]
    assert ben.http.get("/auth/sessions").json()[0]["id"] not in (newest["id"], oldest["id"])


def test_of_very_many_sessions_the_newest_hundred_are_listed(server: Server, anna: Person) -> None:
    known = {"user_id": anna.id, "ip": "", "user_agent": "", "expires_at": ago(days=-1)}
    times = dict.fromkeys(("created_at", "last_used_at"), ago())
    ids = [str(new_id()) for _ in range(101)]
    server.execute(insert(Session), [{"id": id_, **known, **times} for id_ in ids])
    listed = anna.http.get("/auth/sessions").json()
    assert [session["id"] for session in listed] == ids[:0:-1]


def test_refreshing_shows_as_use(anonymous: httpx.Client, server: Server, anna: Person) -> None:
    move(server, anna, last_used_at=ago(days=3))
    refresh(anonymous, anna.tokens)
    [session] = anna.http.get("/auth/sessions").json()
    assert session["last_used_at"] >= session["created_at"]


def test_one_session_is_ended_from_another(anna: Person, again: Person) -> None:
    path = f"/auth/sessions/{session_id(anna)}"
    assert again.http.delete(path).status_code == 204
    assert told(anna.http.get("/auth/me")) == (401, "session-revoked")
    assert told(again.http.delete(path)) == (404, "not-found")
    assert again.http.get("/auth/me").status_code == 200


def test_a_user_may_end_the_session_they_are_in(anna: Person) -> None:
    assert anna.http.delete(f"/auth/sessions/{session_id(anna)}").status_code == 204
    assert told(anna.http.get("/auth/me")) == (401, "session-revoked")


def test_all_other_sessions_end_together(
    server: Server, anna: Person, again: Person, ben: Person
) -> None:
    third = server.sign_in(anna.email)
    assert again.http.delete("/auth/sessions").status_code == 204
    for ended in (anna, third):
        assert told(ended.http.get("/auth/me")) == (401, "session-revoked")
    assert [s["id"] for s in again.http.get("/auth/sessions").json()] == [session_id(again)]
    assert ben.http.get("/auth/me").status_code == 200


def test_the_session_of_another_looks_like_none(anna: Person, ben: Person, admin: Person) -> None:
    for http in (ben.http, admin.http):
        theirs = http.delete(f"/auth/sessions/{session_id(anna)}")
        none = http.delete(f"/auth/sessions/{UNKNOWN}")
        assert told(theirs) == told(none) == (404, "not-found")
        assert theirs.json()["detail"] == none.json()["detail"]
    assert anna.http.get("/auth/me").status_code == 200


# change_password


def change(person: Person, current: str = PASSWORD, new: str = NEW) -> httpx.Response:
    body = {"current_password": current, "new_password": new}
    return person.http.put("/auth/password", json=body)


def test_a_new_password_replaces_the_old_one(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    assert change(anna).status_code == 204
    old = {"email": anna.email, "password": PASSWORD}
    assert told(anonymous.post("/auth/login", json=old)) == (401, "invalid-credentials")
    assert server.sign_in(anna.email, NEW).id == anna.id


def test_a_new_password_ends_all_sessions_but_this_one(
    anonymous: httpx.Client, anna: Person, again: Person
) -> None:
    assert change(anna).status_code == 204
    assert told(me(anonymous, again.tokens)) == (401, "session-revoked")
    assert told(refresh(anonymous, again.tokens)) == (401, "session-revoked")
    assert me(anonymous, anna.tokens).status_code == 200
    assert refresh(anonymous, anna.tokens).status_code == 200


@pytest.mark.parametrize(
    ("fields", "refusal", "reason"),
    [
        ({"current": "wrong"}, (403, "current-password-wrong"), ""),
        ({"current": "wrong", "new": "password1"}, (403, "current-password-wrong"), ""),
        ({"new": "password1"}, (400, "weak-password"), "common"),
        ({"new": "{person.email}"}, (400, "weak-password"), "e-mail address"),
        ({"new": "{person.username}"}, (400, "weak-password"), "user name"),
        ({"new": "2short"}, (400, "invalid-request"), ""),
    ],
)
def test_a_refused_change_leaves_everything_as_it_was(
    fields: dict[str, str],
    refusal: tuple[int, str],
    reason: str,
    server: Server,
    anna: Person,
    again: Person,
) -> None:
    filled = {field: value.format(person=anna) for field, value in fields.items()}
    answer = change(anna, **filled)
    assert told(answer) == refusal
    assert reason in answer.json()["detail"]
    assert again.http.get("/auth/me").status_code == 200
    server.sign_in(anna.email)
