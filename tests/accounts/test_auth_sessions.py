"""Sessions: where a user is signed in, and how a session ends."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import insert

from service.engine.ids import new_id
from service.models import Session
from tests.kit.exports import PATH, lines
from tests.kit.serving import Person, Server
from tests.kit.sessions import ago, call, me, move, refresh, session_id, told

UNKNOWN = "0198c0de-0000-7000-8000-000000000001"


@pytest.fixture
def again(server: Server, anna: Person) -> Person:
    """Anna once more, in a session that she has started later."""
    return server.sign_in(anna.email)


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


def test_signing_out_ends_refreshed_tokens_too(anonymous: httpx.Client, anna: Person) -> None:
    pair = refresh(anonymous, anna.tokens).json()
    assert call(anonymous, "POST", "/auth/logout", anna.tokens["access_token"]).status_code == 204
    assert told(me(anonymous, pair)) == (401, "session-revoked")
    assert told(refresh(anonymous, pair)) == (401, "session-revoked")


# list_sessions, revoke_other_sessions, revoke_session


def test_a_user_sees_where_they_are_signed_in(server: Server, anna: Person, ben: Person) -> None:
    credentials = {"email": anna.email, "password": anna.password}
    with server.client(**{"User-Agent": "Netscape/4.7 " + "x" * 500}) as browser:
        Person(server, *credentials.values(), browser.post("/auth/login", json=credentials).json())
    oldest, newest = anna.http.get("/auth/sessions").json()
    assert oldest == {
        "id": session_id(anna),
        "created_at": oldest["created_at"],
        "last_used_at": f"{oldest['created_at'][:13]}:00:00.000Z",
        "ip": "127.0.0.1",
        "user_agent": oldest["user_agent"],
        "current": True,
    }
    assert oldest["user_agent"].startswith("python-httpx/")
    assert newest["user_agent"].startswith("Netscape/4.7 xxx")
    assert newest["current"] is False
    assert newest["id"] > oldest["id"]
    assert ben.http.get("/auth/sessions").json()[0]["id"] not in (newest["id"], oldest["id"])


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Дневник/1.0 (手机)".encode(), "Дневник/1.0 (手机)"),
        ("Caf\u00e9/1.0".encode("latin-1"), "Caf\u00e9/1.0"),
        ("a\u202eb\u0085/1.0".encode(), "ab/1.0"),
    ],
)
def test_a_session_shows_a_user_agent_in_any_script(
    server: Server, anna: Person, sent: bytes, shown: str
) -> None:
    body = {"email": anna.email, "password": anna.password}
    with server.client() as app:
        signed_in = app.post("/auth/login", json=body, headers={b"User-Agent": sent})
    with server.client(signed_in.json()["access_token"]) as app:
        assert app.get("/auth/sessions").json()[0]["user_agent"] == shown


def add_sessions(server: Server, person: Person, times: list[str]) -> list[str]:
    """Ids of further sessions of a user, each last used at one of these times."""
    known = {"user_id": person.id, "ip": "", "user_agent": "", "expires_at": ago(days=-1)}
    rows = [
        {"id": str(new_id()), **known, "created_at": time, "last_used_at": time} for time in times
    ]
    server.execute(insert(Session), rows)
    return [row["id"] for row in rows]


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_the_list_starts_with_the_current_session_and_repeats_none(
    limit: int, server: Server, anna: Person
) -> None:
    older = add_sessions(server, anna, [ago(days=1)] * 9)
    current = server.sign_in(anna.email)
    newer = add_sessions(server, anna, [ago(minutes=1)] * 9)
    found, pages = [], 0
    answer = current.http.get("/auth/sessions", params={"limit": limit})
    while True:
        sessions = answer.json()
        assert len(sessions) <= limit
        found += sessions
        pages += 1
        if "next" not in answer.links:
            break
        answer = current.http.get(answer.links["next"]["url"])
    others = [*newer[::-1], *older[::-1], session_id(anna)]
    others.sort(reverse=True)
    assert [session["id"] for session in found] == [session_id(current), *others]
    assert [session["current"] for session in found] == [True] + [False] * 19
    assert pages == -(-20 // limit)
    kept = [line for line in lines(current.http.get(PATH).content) if line["type"] == "session"]
    assert [line["id"] for line in kept] == [session["id"] for session in found]


def test_a_sign_in_beyond_a_hundred_ends_the_session_used_least_recently(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    move(server, anna, last_used_at=ago(minutes=5))
    ids = add_sessions(server, anna, [ago(days=9), *[ago(hours=1)] * 98])
    assert len(anna.http.get("/auth/sessions", params={"limit": 100}).json()) == 100
    again = server.sign_in(anna.email)
    listed = again.http.get("/auth/sessions", params={"limit": 100})
    assert "next" not in listed.links
    left = {session["id"] for session in listed.json()}
    assert left == {session_id(again), session_id(anna), *ids[1:]}
    assert me(anonymous, anna.tokens).status_code == 200


def test_after_130_sign_ins_100_sessions_are_active_and_exported(
    server: Server, anna: Person
) -> None:
    for _ in range(130):
        last = server.sign_in(anna.email)
    kept = [line for line in lines(last.http.get(PATH).content) if line["type"] == "session"]
    assert len(kept) == 100
    assert kept[0]["current"]
    assert told(anna.http.get("/auth/me")) == (401, "session-revoked")


def test_last_used_at_changes_once_an_hour_is_over(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    def used() -> str:
        [session] = anna.http.get("/auth/sessions").json()
        return str(session["last_used_at"])

    def hour(moment: str) -> str:
        return f"{moment[:13]}:00:00.000Z"

    days_ago, hours_ago = ago(days=3), ago(hours=2)
    move(server, anna, last_used_at=days_ago)
    assert used() == hour(days_ago)
    pair = refresh(anonymous, anna.tokens).json()
    assert refresh(anonymous, pair).status_code == 200
    # A thief who asks again and again must not see the moment of a refresh.
    assert used() == hour(days_ago)
    move(server, anna, last_used_at=hours_ago)
    assert used() == hour(hours_ago)


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


def test_the_session_of_another_user_is_a_404(anna: Person, ben: Person, admin: Person) -> None:
    for http in (ben.http, admin.http):
        theirs = http.delete(f"/auth/sessions/{session_id(anna)}")
        none = http.delete(f"/auth/sessions/{UNKNOWN}")
        assert told(theirs) == told(none) == (404, "not-found")
        assert theirs.json()["detail"] == none.json()["detail"]
    assert anna.http.get("/auth/me").status_code == 200
