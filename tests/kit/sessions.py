"""Checks whether a session's tokens work, and moves sessions in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
from sqlalchemy import update

from service.engine.ids import rfc3339
from service.models import Session
from tests.kit.serving import Person, Server


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def call(http: httpx.Client, method: str, path: str, token: str) -> httpx.Response:
    return http.request(method, path, headers={"Authorization": f"Bearer {token}"})


def refresh(http: httpx.Client, tokens: dict[str, Any]) -> httpx.Response:
    return call(http, "POST", "/auth/refresh", tokens["refresh_token"])


def me(http: httpx.Client, tokens: dict[str, Any]) -> httpx.Response:
    return call(http, "GET", "/auth/me", tokens["access_token"])


def claims(token: str) -> dict[str, Any]:
    """What a token says."""
    said: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return said


def generation(tokens: dict[str, Any]) -> int:
    claims = jwt.decode(tokens["refresh_token"], options={"verify_signature": False})
    return int(claims["gen"])


def session_id(person: Person) -> str:
    claims = jwt.decode(person.tokens["access_token"], options={"verify_signature": False})
    return str(claims["sid"])


def ago(**time: float) -> str:
    return rfc3339(datetime.now(UTC) - timedelta(**time))


def grow_old(person: Person, **age: float) -> Person:
    """Move the sign-in of a person's session into the past, by a little more than `x-fresh-
    authentication` allows, and give them tokens that say so."""
    move(person.server, person, authenticated_at=ago(**(age or {"seconds": 310})))
    answer = refresh(person.http, person.tokens)
    assert answer.status_code == 200, answer.text
    return Person(person.server, person.email, person.password, person.tokens | answer.json())


def make_old(person: Person) -> None:
    """Move all sign-ins of a person so far into the past that they are no longer fresh."""
    old = update(Session).where(Session.user_id == person.id)
    person.server.execute(old.values(authenticated_at=ago(seconds=310)))


def move(server: Server, person: Person, **times: str) -> None:
    """Change the times of a session, as if it had been used then."""
    server.execute(update(Session).where(Session.id == session_id(person)).values(times))
