"""Rotation of refresh tokens, and which replaced tokens count as stolen."""

from __future__ import annotations

import httpx
import pytest

from tests.kit.serving import Person, Server
from tests.kit.sessions import ago, generation, me, move, refresh, session_id, told


@pytest.fixture
def again(server: Server, anna: Person) -> Person:
    """Anna once more, in a session that she has started later."""
    return server.sign_in(anna.email)


def test_refreshing_gives_the_next_pair(anonymous: httpx.Client, anna: Person) -> None:
    answer = refresh(anonymous, anna.tokens)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    pair = answer.json()
    assert pair.keys() == anna.tokens.keys() - {"user"}
    assert generation(pair) == generation(anna.tokens) + 1
    assert me(anonymous, pair).json() == anna.tokens["user"]
    assert refresh(anonymous, pair).status_code == 200


def test_the_previous_refresh_token_returns_the_current_pair_for_ten_seconds(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    first = refresh(anonymous, anna.tokens).json()
    assert me(anonymous, first).status_code == 200
    move(server, anna, last_used_at=ago(seconds=6))
    second = refresh(anonymous, anna.tokens).json()
    assert generation(first) == generation(second)
    for pair in (first, second):
        assert me(anonymous, pair).status_code == 200
        assert refresh(anonymous, pair).status_code == 200


def test_the_previous_refresh_token_is_treated_as_reused_after_ten_seconds(
    anonymous: httpx.Client, server: Server, anna: Person, again: Person
) -> None:
    pair = refresh(anonymous, anna.tokens).json()
    assert me(anonymous, pair).status_code == 200
    move(server, anna, last_used_at=ago(seconds=10.5))
    assert told(refresh(anonymous, anna.tokens)) == (401, "token-reused")
    assert told(refresh(anonymous, anna.tokens)) == (401, "session-revoked")
    assert told(refresh(anonymous, pair)) == (401, "session-revoked")
    assert told(me(anonymous, pair)) == (401, "session-revoked")
    assert me(anonymous, again.tokens).status_code == 200


def test_an_older_refresh_token_is_treated_as_reused_at_once(
    anonymous: httpx.Client, anna: Person
) -> None:
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
    pair = refresh(anonymous, anna.tokens).json()
    assert me(anonymous, pair).status_code == 200
    move(server, anna, last_used_at=ago(seconds=6))
    assert refresh(anonymous, anna.tokens).status_code == 200
    move(server, anna, last_used_at=ago(seconds=11))
    assert told(refresh(anonymous, anna.tokens)) == (401, "token-reused")


def test_a_session_ends_for_good_at_its_end(
    anonymous: httpx.Client, server: Server, anna: Person, again: Person
) -> None:
    move(server, anna, expires_at=ago(seconds=1))
    assert told(refresh(anonymous, anna.tokens)) == (401, "session-revoked")
    assert told(me(anonymous, anna.tokens)) == (401, "session-revoked")
    [session] = again.http.get("/auth/sessions").json()
    assert session["id"] == session_id(again)


def test_no_token_outlives_its_session(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    move(server, anna, expires_at=ago(minutes=-5))
    for _ in range(2):  # nor does refreshing move the end of the session
        pair = refresh(anonymous, anna.tokens).json()
        assert 0 < pair["refresh_expires_in"] <= 300
        assert 0 < pair["expires_in"] <= 300
