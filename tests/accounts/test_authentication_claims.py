"""What an access token says about the sign-in of its session: when (`auth_time`), how (`amr`)."""

from __future__ import annotations

import time
from typing import Any

import httpx
import jwt
import sqlalchemy as sa

from service.models import Session
from tests.kit.serving import Server
from tests.kit.sessions import ago, call, move, refresh, session_id


def claims(tokens: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    return read


def authentication(tokens: dict[str, Any]) -> tuple[int, list[str], str]:
    read = claims(tokens)
    return read["auth_time"], read["amr"], read["acr"]


def test_the_tokens_of_a_sign_in_say_that_it_is_fresh(server: Server) -> None:
    earliest = int(time.time())
    moment, methods, level = authentication(server.sign_up().tokens)
    assert earliest <= moment <= time.time()
    assert (methods, level) == (["pwd"], "aal1")


def test_a_refresh_keeps_the_time_and_the_methods_of_the_sign_in(
    server: Server, anonymous: httpx.Client
) -> None:
    anna = server.sign_up()
    move(server, anna, authenticated_at=ago(hours=2), methods="pwd otp mfa")
    before = int(time.time()) - 2 * 3600
    pair = refresh(anonymous, anna.tokens).json()
    first = authentication(pair)
    assert abs(first[0] - before) < 60
    assert first[1:] == (["pwd", "otp", "mfa"], "aal2")
    assert authentication(refresh(anonymous, pair).json()) == first


def test_a_session_of_the_previous_release_was_authenticated_when_it_was_created(
    server: Server, anonymous: httpx.Client
) -> None:
    anna = server.sign_up()
    of_anna = Session.id == session_id(anna)
    move(server, anna, created_at=ago(hours=3))
    server.execute(sa.update(Session).where(of_anna).values(authenticated_at=None))
    moment, methods, _ = authentication(refresh(anonymous, anna.tokens).json())
    assert abs(moment - (time.time() - 3 * 3600)) < 60
    assert methods == ["pwd"]


def test_a_new_password_makes_a_session_no_fresher_than_it_was(
    server: Server, anonymous: httpx.Client
) -> None:
    anna = server.sign_up()
    move(server, anna, authenticated_at=ago(hours=2))
    passwords = {"current_password": anna.password, "new_password": "seven purple herons"}
    path, token = "/auth/password", anna.tokens["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    pair = anonymous.put(path, json=passwords, headers=bearer).json()
    assert authentication(pair)[0] < time.time() - 3600
    assert call(anonymous, "GET", "/auth/me", pair["access_token"]).status_code == 200
