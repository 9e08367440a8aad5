"""Who calls while schemathesis runs: signed-in users and admins, replaced when they are used up."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.kit.mailbox import Mailbox

PASSWORD = "a lantern under the bridge"
RESET = "Choose a new password"
VERIFY = "Confirm your e-mail address"


class Caller:
    """A user with a session."""

    def __init__(self, api: httpx.Client, email: str) -> None:
        answer = api.post("/auth/login", json={"email": email, "password": PASSWORD})
        self.email = email
        self.tokens: dict[str, Any] = answer.raise_for_status().json()
        self.id: str = self.tokens["user"]["id"]

    @property
    def access(self) -> str:
        return f"Bearer {self.tokens['access_token']}"

    @property
    def refresh(self) -> str:
        return f"Bearer {self.tokens['refresh_token']}"

    @property
    def session(self) -> str:
        claims = self.tokens["access_token"].split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(claims + "=="))["sid"])


class Callers:
    """One caller of each role."""

    def __init__(self, url: str, mails: Path, database: str) -> None:
        self._api = httpx.Client(base_url=url, timeout=60)
        self._mails = Mailbox(mails)
        self._database = database
        self._callers: dict[str, Caller] = {}

    def get(self, role: str) -> Caller:
        """Whoever has this role at the moment."""
        if role not in self._callers:
            self._callers[role] = Caller(self._api, self._new_account(role))
        return self._callers[role]

    def sender(self, authorization: str) -> Caller | None:
        """Which of them has sent this."""
        for caller in self._callers.values():
            if authorization in {caller.access, caller.refresh}:
                return caller
        return None

    def sign_in(self, caller: Caller) -> None:
        """Give a caller whose session has ended another, which costs less than an account."""
        caller.tokens = Caller(self._api, caller.email).tokens

    def drop(self, caller: Caller) -> None:
        """Have somebody else in the place of this one."""
        self._callers = {role: other for role, other in self._callers.items() if other != caller}

    def role(self, authorization: str) -> str:
        """The role, by now, of who sent this."""
        me = self._api.get("/auth/me", headers={"Authorization": authorization})
        return str(me.raise_for_status().json()["role"])

    def mailed_token(self, subject: str) -> str:
        """The token in the mail of this subject to a new account."""
        email = self._new_account("user")
        if subject == RESET:
            self._api.post("/auth/password-resets", json={"email": email}).raise_for_status()
        return self._mails.token(email, subject)

    def _new_account(self, role: str) -> str:
        email = f"{secrets.token_hex(8)}@example.com"
        account = {"email": email, "password": PASSWORD}
        self._api.post("/auth/register", json=account).raise_for_status()
        if role == "admin":
            # Not by another admin, whom these requests may have deleted.
            with psycopg.connect(self._database) as connection:
                connection.execute("UPDATE users SET role = 'admin' WHERE email = %s", [email])
        return email
