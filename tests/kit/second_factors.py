"""Authenticator apps in tests: turning one on, its codes, and sign-ins with them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import pyotp
from sqlalchemy import update

from service.models import TotpFactor
from tests.kit.serving import PASSWORD, Person, Server

STEP_SECONDS = 30


@dataclass
class App:
    """An authenticator app of a person, and their recovery codes."""

    person: Person
    secret: str
    recovery_codes: list[str] = field(default_factory=list)

    def code(self, steps: int = 0) -> str:
        """The code of this moment, or of so many steps later."""
        return pyotp.TOTP(self.secret).at(time.time() + STEP_SECONDS * steps)

    def forget_used(self) -> None:
        """Let every code be used again, as after a minute."""
        mine = TotpFactor.user_id == self.person.id
        self.person.server.execute(update(TotpFactor).where(mine).values(last_step=0))

    @property
    def wrong_code(self) -> str:
        """A code that is none of this moment's, nor of those around it."""
        near = {self.code(steps) for steps in range(-3, 4)}
        return next(code for code in map("{:06}".format, range(10)) if code not in near)


def started(person: Person) -> App:
    """An app whose secret waits to be confirmed."""
    answer = person.http.post("/auth/totp")
    assert answer.status_code == 201, answer.text
    return App(person, answer.json()["secret"])


def add_app(person: Person) -> App:
    """An app that is in use; every code can be used."""
    app = started(person)
    answer = person.http.post("/auth/totp/confirm", json={"code": app.code()})
    assert answer.status_code == 200, answer.text
    app.recovery_codes = answer.json()["recovery_codes"]
    app.forget_used()
    return app


def log_in(http: httpx.Client, person: Person, password: str = PASSWORD) -> httpx.Response:
    return http.post("/auth/login", json={"email": person.email, "password": password})


def challenged(http: httpx.Client, person: Person, password: str = PASSWORD) -> str:
    """The challenge that a right password gets."""
    answer = log_in(http, person, password)
    assert (answer.status_code, answer.json()["code"]) == (401, "second-factor-required")
    return str(answer.json()["challenge"])


def complete(http: httpx.Client, challenge: str, code: str) -> httpx.Response:
    body = {"challenge": challenge, "code": code}
    return http.post("/auth/login/second-factor", json=body)


def signed_in(server: Server, app: App) -> Person:
    """The app's person in a new session."""
    app.forget_used()
    with server.client() as http:
        answer = complete(http, challenged(http, app.person), app.code())
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return Person(server, app.person.email, app.person.password, tokens)
