"""A new password: what it ends, what it starts, and when it is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.domain import passwords
from tests.kit.serving import PASSWORD, Person, Server
from tests.kit.sessions import call, me, refresh, session_id, told

NEW = "seven purple herons at dawn"


@pytest.fixture
def again(server: Server, anna: Person) -> Person:
    """Anna once more, in a session that she has started later."""
    return server.sign_in(anna.email)


def change(person: Person, current: str = PASSWORD, new: str = NEW) -> httpx.Response:
    body = {"current_password": current, "new_password": new}
    return person.http.put("/auth/password", json=body)


def test_a_new_password_replaces_the_old_one(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    assert change(anna).status_code == 200
    old = {"email": anna.email, "password": PASSWORD}
    assert told(anonymous.post("/auth/login", json=old)) == (401, "invalid-credentials")
    assert server.sign_in(anna.email, NEW).id == anna.id


def test_a_new_password_ends_all_sessions_and_starts_one(
    anonymous: httpx.Client, anna: Person, again: Person
) -> None:
    refreshed = refresh(anonymous, again.tokens).json()
    answer = change(anna)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    pair = answer.json()
    assert pair.keys() == anna.tokens.keys() - {"user"}
    for tokens in (anna.tokens, again.tokens, refreshed):
        assert told(me(anonymous, tokens)) == (401, "session-revoked")
        assert told(refresh(anonymous, tokens)) == (401, "session-revoked")
    assert me(anonymous, pair).json()["id"] == anna.id
    [session] = call(anonymous, "GET", "/auth/sessions", pair["access_token"]).json()
    assert (session["current"], session["ip"]) == (True, "127.0.0.1")
    assert session["id"] not in (session_id(anna), session_id(again))
    assert refresh(anonymous, pair).status_code == 200
    assert told(change(anna, NEW, PASSWORD)) == (401, "session-revoked")


def test_a_session_that_ends_while_the_password_is_hashed_changes_nothing(
    anonymous: httpx.Client, server: Server, anna: Person, again: Person, monkeypatch: Any
) -> None:
    matches = passwords.matches

    def match_late(stored: str | None, password: str) -> bool:
        monkeypatch.undo()
        assert again.http.delete(f"/auth/sessions/{session_id(anna)}").status_code == 204
        return matches(stored, password)

    monkeypatch.setattr(passwords, "matches", match_late)
    assert told(change(anna)) == (401, "session-revoked")
    assert again.http.get("/auth/me").status_code == 200
    assert server.sign_in(anna.email, PASSWORD).id == anna.id


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
