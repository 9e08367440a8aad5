"""A user proves again who they are, without another session."""

from __future__ import annotations

import time
from typing import Any

import httpx
import jwt
import pytest

from service.domain import passwords
from service.models import AuditEvent, Session
from tests.kit.accounts import patch
from tests.kit.at_once import rows
from tests.kit.serving import Person, Server
from tests.kit.sessions import ago, call, generation, grow_old, me, move, refresh, session_id, told

PATH = "/auth/reauthenticate"


def reauthenticate(person: Person, **proof: Any) -> httpx.Response:
    return person.http.post(PATH, json=proof or {"password": person.password})


def claims(tokens: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    return read


def test_the_answer_is_a_pair_of_the_same_session_with_a_new_time(anna: Person) -> None:
    old = grow_old(anna)
    earliest = int(time.time())
    answer = reauthenticate(old)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    pair = answer.json()
    assert pair.keys() == old.tokens.keys() - {"user"}
    before, after = claims(old.tokens), claims(pair)
    assert before["auth_time"] < earliest <= after["auth_time"] <= time.time()
    assert (after["sid"], after["amr"], after["acr"]) == (before["sid"], ["pwd"], "aal1")
    assert generation(pair) == generation(old.tokens)
    assert rows(anna.server, Session.user_id == anna.id) == 1


def test_a_refresh_keeps_the_new_time(anna: Person, anonymous: httpx.Client) -> None:
    pair = reauthenticate(grow_old(anna)).json()
    assert claims(refresh(anonymous, pair).json())["auth_time"] == claims(pair)["auth_time"]


def test_the_tokens_of_other_tabs_stay_good(anna: Person, anonymous: httpx.Client) -> None:
    pair = reauthenticate(anna).json()
    for tokens in (anna.tokens, pair):
        assert me(anonymous, tokens).status_code == 200
    successor = refresh(anonymous, anna.tokens).json()
    assert me(anonymous, successor).status_code == 200
    # A tab with an access token of the generation before gets the current one.
    move(anna.server, anna, rotated_network="198.51.100.0", last_used_at=ago(hours=1))
    late = reauthenticate(anna).json()
    assert generation(late) == generation(successor) == 1
    assert refresh(anonymous, late).status_code == 200


def test_what_was_proved_before_is_not_forgotten(anna: Person) -> None:
    move(anna.server, anna, methods="pwd otp mfa")
    after = claims(reauthenticate(anna).json())
    assert (after["amr"], after["acr"]) == (["pwd", "otp", "mfa"], "aal2")


def test_a_wrong_password_proves_nothing(anna: Person, anonymous: httpx.Client) -> None:
    old = grow_old(anna)
    refused = reauthenticate(old, password="wrong")
    assert told(refused) == (403, "current-password-wrong")
    again = refresh(anonymous, old.tokens).json()
    assert claims(again)["auth_time"] == claims(old.tokens)["auth_time"]


@pytest.mark.parametrize(
    "body", [{}, {"password": "a", "code": "b"}, {"pin": "1"}, {"password": None}, [], "a"]
)
def test_exactly_one_proof_is_taken(body: Any, anna: Person) -> None:
    answer = anna.http.post(PATH, json=body)
    assert told(answer) == (400, "invalid-request")


def test_an_ended_session_stays_ended(server: Server, anna: Person, admin: Person) -> None:
    assert anna.http.post("/auth/logout").status_code == 204
    assert told(reauthenticate(anna)) == (401, "session-revoked")
    again = server.sign_in(anna.email)
    assert patch(admin.http, anna, disabled=True).status_code == 200
    assert told(reauthenticate(again)) == (401, "session-revoked")
    assert rows(server, Session.user_id == anna.id) == 0


def test_a_refresh_token_proves_nothing(anna: Person) -> None:
    bearer = {"Authorization": f"Bearer {anna.tokens['refresh_token']}"}
    answer = anna.http.post(PATH, json={"password": anna.password}, headers=bearer)
    assert told(answer) == (401, "invalid-token")


def test_it_is_an_event_only_if_it_succeeds(anna: Person) -> None:
    event = (AuditEvent.user_id == anna.id, AuditEvent.action == "reauthenticated")
    reauthenticate(anna, password="wrong")
    assert rows(anna.server, *event) == 0
    reauthenticate(anna)
    assert rows(anna.server, *event) == 1


def test_a_session_that_ends_while_the_password_is_hashed_stays_ended(
    anna: Person, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    again, matches = server.sign_in(anna.email), passwords.matches

    def match_late(stored: str | None, password: str) -> bool:
        monkeypatch.undo()
        assert again.http.delete(f"/auth/sessions/{session_id(anna)}").status_code == 204
        return matches(stored, password)

    monkeypatch.setattr(passwords, "matches", match_late)
    assert told(reauthenticate(anna)) == (401, "session-revoked")
    assert call(again.http, "GET", "/auth/me", anna.tokens["access_token"]).status_code == 401
