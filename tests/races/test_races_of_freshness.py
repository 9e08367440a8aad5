"""A user proves again who they are while the session is refreshed or ended: ending it wins, and no
refresh token is lost."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import jwt
import pytest

from tests.kit.at_once import ROUNDS, Answering, at_once, bearer, codes, statuses
from tests.kit.serving import PASSWORD, Server
from tests.kit.sessions import ago, me, move, refresh, told

pytestmark = pytest.mark.usefixtures("hashing_in_full")


def proving(http: httpx.Client, tokens: dict[str, Any], password: str = PASSWORD) -> Answering:
    headers = bearer(tokens["access_token"])
    body = {"password": password}
    return partial(http.post, "/auth/reauthenticate", json=body, headers=headers)


def auth_time(tokens: dict[str, Any]) -> int:
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    return int(claims["auth_time"])


def check_ended(http: httpx.Client, pairs: list[dict[str, Any]]) -> None:
    for pair in pairs:
        assert told(me(http, pair)) == (401, "session-revoked")
        assert told(refresh(http, pair)) == (401, "session-revoked")


def test_signing_out_wins_over_proving(server: Server, crowd: httpx.Client) -> None:
    email = server.sign_up().email
    for _ in range(ROUNDS):
        tokens = server.sign_in(email).tokens
        logout = partial(crowd.post, "/auth/logout", headers=bearer(tokens["access_token"]))
        left, *answers = at_once(logout, *[proving(crowd, tokens)] * 3)
        assert left.status_code == 204
        assert statuses(answers).keys() <= {200, 401}
        assert codes(answers) <= {"session-revoked"}
        check_ended(crowd, [tokens, *(a.json() for a in answers if a.is_success)])


def test_a_new_password_wins_over_proving_with_the_old_one(
    server: Server, crowd: httpx.Client
) -> None:
    password = PASSWORD
    email = server.sign_up().email
    for number in range(ROUNDS):
        tokens = server.sign_in(email, password).tokens
        body = {"current_password": password, "new_password": f"{PASSWORD} no. {number}"}
        headers = bearer(tokens["access_token"])
        put = partial(crowd.put, "/auth/password", json=body, headers=headers)
        changed, *answers = at_once(put, *[proving(crowd, tokens, password)] * 3)
        password = body["new_password"]
        assert changed.status_code == 200
        assert statuses(answers).keys() <= {200, 401, 403}
        assert codes(answers) <= {"session-revoked", "current-password-wrong"}
        check_ended(crowd, [tokens, *(a.json() for a in answers if a.is_success)])
        assert refresh(crowd, changed.json()).status_code == 200


def test_no_refresh_token_is_lost_when_a_tab_refreshes_and_another_proves(
    server: Server, crowd: httpx.Client
) -> None:
    email = server.sign_up().email
    for _ in range(ROUNDS):
        anna = server.sign_in(email)
        tokens = anna.tokens
        move(server, anna, authenticated_at=ago(hours=1))
        refreshed, *proved = at_once(partial(refresh, crowd, tokens), *[proving(crowd, tokens)] * 3)
        assert statuses([refreshed, *proved]) == {200: 4}
        for answer in (*proved, refreshed):
            assert me(crowd, answer.json()).status_code == 200
        newest = [refresh(crowd, answer.json()) for answer in (refreshed, *proved)]
        assert statuses(newest) == {200: 4}
        # Whatever the order was, the session remembers the proof.
        assert auth_time(newest[0].json()) in {auth_time(answer.json()) for answer in proved}
