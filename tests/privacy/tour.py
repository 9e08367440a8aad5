"""Calls operations by name, and keeps every answer together with who got it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from service.engine.tokens.keys import KeyRing
from service.engine.tokens.tokens import Tokens
from service.specification import specification
from tests.kit import raw
from tests.kit.mailbox import Mailbox
from tests.privacy.marks import Marks

OPERATIONS = {
    declared["operationId"]: (method, path, declared)
    for path, item in specification.document["paths"].items()
    for method, declared in item.items()
}
PARAMETERS = {name: re.findall(r"\{(\w+)\}", path) for name, (_, path, _) in OPERATIONS.items()}
# The answers with a pair of tokens in them, for its owner.
RENEWS_TOKENS = {
    "login",
    "complete_login",
    "login_with_passkey",
    "refresh",
    "reauthenticate",
    "change_password",
}
# The members of answers that are secrets of whoever gets them, and of which kind.
ISSUED = {"challenge": "challenge", "secret": "factor", "recovery_codes": "factor"}
JSON = {"application/json", "application/problem+json"}
ITS_OWN = "the token that the operation asks for"


@dataclass
class Visitor:
    """Somebody with secrets."""

    name: str
    address: str
    password: str
    agent: str
    id: str = ""
    tokens: dict[str, Any] = field(default_factory=dict)

    @property
    def credentials(self) -> dict[str, str]:
        return {"email": self.address, "password": self.password}


@dataclass(frozen=True)
class Heard:
    """An answer, head and body, and who got it."""

    by: str
    operation: str
    status: int
    data: bytes


class Tour:
    """The visits to one server after another; what they are given becomes a secret too."""

    def __init__(self, marks: Marks, folder: Path) -> None:
        self.marks = marks
        self.heard: list[Heard] = []
        self._folder = folder
        stray = marks.word("header", "everybody")
        self._strays = dict.fromkeys(("Cookie", "Forwarded", "Referer", "X-Forwarded-For"), stray)
        self._mailbox = Mailbox(folder / "mail")

    @contextmanager
    def at(self, url: str) -> Iterator[None]:
        """On one server for as long as the block lasts."""
        self._url = url
        self.page = url.replace("127.0.0.1", "localhost")  # where passkeys are used
        with httpx.Client(base_url=url, timeout=60) as self._http:
            yield

    def __call__(
        self, operation: str, by: Visitor, *, bearer: str | None = ITS_OWN, **request: Any
    ) -> httpx.Response:
        """The answer to a visitor; `request` is as in httpx, with the parameters of the path."""
        method, path, declared = OPERATIONS[operation]
        ids = {name: quote(request.pop(name), safe="") for name in PARAMETERS[operation]}
        headers = {"User-Agent": by.agent, **self._strays}
        if bearer is ITS_OWN:
            kind = "refresh_token" if operation == "refresh" else "access_token"
            bearer = by.tokens.get(kind) if declared["security"] else None
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        headers |= request.pop("headers", {})
        answer = self._http.request(method, path.format(**ids), headers=headers, **request)
        self._keep(by, operation, answer.status_code, answer.headers.raw, answer.content)
        self._mark(by, answer)
        if operation in RENEWS_TOKENS and answer.status_code == 200:
            by.tokens |= answer.json() | self._in_cookie(answer)
            for token in (by.tokens["access_token"], by.tokens["refresh_token"]):
                self.marks.token("token", by.name, token)
        if operation == "create_personal_token" and answer.status_code == 201:
            self.marks.token("token", by.name, answer.json()["token"])
        return answer

    def _mark(self, by: Visitor, answer: httpx.Response) -> None:
        """Look for the secrets in an answer from now on."""
        is_json = answer.headers.get("Content-Type") in JSON
        body = answer.json() if is_json else None
        for name, kind in ISSUED.items():
            value = body.get(name, []) if isinstance(body, dict) else []
            for text in [value] if isinstance(value, str) else value:
                self.marks.issued(kind, by.name, text)

    @staticmethod
    def _in_cookie(answer: httpx.Response) -> dict[str, str]:
        found = answer.headers.get("Set-Cookie", "").partition("=")[2].partition(";")[0]
        return {"refresh_token": found} if found else {}

    def raw(self, by: Visitor, data: bytes) -> None:
        """Send bytes that no HTTP client would."""
        answer = raw.exchange(self._url, data)
        head = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        self._keep(by, "", answer.status, head, answer.body)

    def visitor(self, name: str, domain: str = "example.com") -> Visitor:
        """Somebody whom the server does not know yet."""
        agent = self.marks.word("agent", name)
        return Visitor(name, self.marks.address(name, domain), self.marks.password(name), agent)

    def sign_up(self, name: str, **more: str) -> Visitor:
        visitor = self.visitor(name)
        self("register", visitor, json=visitor.credentials | more)
        return self.sign_in(visitor)

    def sign_in(self, visitor: Visitor) -> Visitor:
        answer = self("login", visitor, json=visitor.credentials)
        assert answer.status_code == 200, answer.text
        visitor.id = answer.json()["user"]["id"]
        return visitor

    def mailed(self, visitor: Visitor, subject: str, number: int = 1) -> str:
        """The token in a mail to somebody, once it has come."""
        return self._mailbox.token(visitor.address, subject, number)

    def expired(self, visitor: Visitor) -> str:
        """An access token whose time is over."""
        ring, hour_ago = KeyRing.from_directory(self._folder / "keys"), time.time() - 3600
        tokens = Tokens(ring, issuer="byline", audience="byline", clock=lambda: hour_ago)
        expired = tokens.access(visitor.id, str(uuid4()), 0, 1)
        return self.marks.token("token", visitor.name, expired)

    def _keep(
        self, by: Visitor, operation: str, status: int, head: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        data = b"\n".join([*(b": ".join(pair) for pair in head), b"", body])
        self.heard.append(Heard(by.name, operation, status, data))
