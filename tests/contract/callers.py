"""Who calls while schemathesis runs: signed-in users and admins, replaced when they are used up."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path

import httpx

from tests.mailbox import Mailbox

PASSWORD = "a lantern under the bridge"
ADMIN = "root@example.com"
RESET = "Choose a new password"
VERIFY = "Confirm your e-mail address"


class Caller:
    """A user with a session."""

    def __init__(self, api: httpx.Client, email: str) -> None:
        answer = api.post("/auth/login", json={"email": email, "password": PASSWORD})
        tokens = answer.raise_for_status().json()
        self.email = email
        self.id: str = tokens["user"]["id"]
        self.access: str = tokens["access_token"]
        self.refresh: str = tokens["refresh_token"]

    @property
    def session(self) -> str:
        claims = self.access.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(claims + "=="))["sid"])


class Callers:
    """One caller of each role."""

    def __init__(self, url: str, mails: Path) -> None:
        self._api = httpx.Client(base_url=url, timeout=30)
        self._mails = Mailbox(mails)
        self._callers: dict[str, Caller] = {}

    def get(self, role: str) -> Caller:
        """Whoever has this role at the moment."""
        if role not in self._callers:
            self._callers[role] = Caller(self._api, self._new_account(role))
        return self._callers[role]

    def drop(self, authorization: str) -> None:
        """Replace who sent this, if it was one of them."""
        for role, caller in list(self._callers.items()):
            if authorization in {f"Bearer {caller.access}", f"Bearer {caller.refresh}"}:
                del self._callers[role]

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
        account = {"email": f"{secrets.token_hex(8)}@example.com", "password": PASSWORD}
        if role == "user":
            self._api.post("/auth/register", json=account).raise_for_status()
        else:
            bearer = {"Authorization": f"Bearer {Caller(self._api, ADMIN).access}"}
            new = self._api.post("/api/users", json=account | {"role": role}, headers=bearer)
            new.raise_for_status()
        return account["email"]
