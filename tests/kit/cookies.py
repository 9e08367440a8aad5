"""A browser, as far as it keeps the refresh token in a cookie."""

from __future__ import annotations

import re
from typing import Any

import httpx

from tests.kit.serving import PASSWORD, Person, Server

NAME = "__Host-refresh"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
SET = re.compile(
    rf"{NAME}=([\w-]+\.[\w-]+\.[\w-]+); "
    r"Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=(\d+)"
)
CLEARED = (
    f"{NAME}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0; "
    "Expires=Thu, 01 Jan 1970 00:00:00 GMT"
)


class Browser:
    """A page of the server's own origin, with the cookie that the server set last."""

    def __init__(self, server: Server, **headers: str) -> None:
        self.http = server.client(**headers)
        self.token = ""

    def send(self, path: str, method: str = "POST", **request: Any) -> httpx.Response:
        headers = {**SAME_ORIGIN, **request.pop("headers", {})}
        if self.token:
            headers["Cookie"] = f"{NAME}={self.token}"
        answer = self.http.request(method, path, headers=headers, **request)
        self.keep(answer)
        return answer

    def keep(self, answer: httpx.Response) -> None:
        assert len(answer.headers.get_list("Set-Cookie")) <= 1
        for value in answer.headers.get_list("Set-Cookie"):
            found = SET.fullmatch(value)
            assert found or value == CLEARED, value
            self.token = found[1] if found else ""

    def sign_in(self, person: Person) -> dict[str, Any]:
        body = {"email": person.email, "password": PASSWORD, "transport": "cookie"}
        answer = self.send("/auth/login", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refresh(self, **request: Any) -> httpx.Response:
        return self.send("/auth/refresh", **request)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]
