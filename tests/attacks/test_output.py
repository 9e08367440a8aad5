"""What comes out again in pages and sessions (more in engine/test_output)."""

from __future__ import annotations

import secrets

import pytest

from tests.kit.attack import Attack, on
from tests.kit.serving import PASSWORD, Person, Server

pytestmark = on("sqlite")


@pytest.fixture(scope="module")
def author(server: Server) -> Person:
    return server.sign_up()


@pytest.mark.parametrize("page", ["/", "/account", "/docs"])
def test_a_page_shows_nothing_from_its_url(attack: Attack, page: str) -> None:
    whole = attack("GET", page, 200)
    assert "script-src 'self';" in whole.headers["content-security-policy"]
    for query in (
        *["url=https://evil.example/openapi.json", "configUrl=data:text/json;base64,e30=", "x"],
        *[
            "urls.primaryName=x",
            "q=%3Cscript%3E",
            "callback=alert",
            "oauth2RedirectUrl=//evil.example",
        ],
    ):
        assert attack("GET", f"{page}?{query}", 200).body == whole.body
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "/<x>", "Referer": "<x>"}
    assert attack("GET", page, 200, headers=headers).body == whole.body
    for path in (
        f"{page.rstrip('/')}/<script>alert(1)</script>",
        f"{page.rstrip('/')}/%22%3E%3Cx%3E",
    ):
        attack("GET", path, 404)


FORWARDED = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Server": "evil.example",
    "X-Forwarded-Proto": "javascript",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Scheme": "http",
    "X-Original-Host": "evil.example",
    "X-Host": "evil.example",
    "Forwarded": "for=evil;host=evil.example;proto=https",
    "X-HTTP-Host-Override": "evil.example",
    "Origin": "https://evil.example",
    "Referer": "https://evil.example/",
}


def test_no_header_chooses_where_links_lead(attack: Attack) -> None:
    new = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD}
    account = attack("POST", "/auth/register", 201, json=new, headers=FORWARDED)
    assert account.headers["location"] == f"/api/users/{account.json()['id']}"
    assert "evil" not in f"{account}"
    for path in ("/", "/account", "/docs", "/openapi.json", "/openapi.yaml"):
        assert b"evil" not in attack("GET", path, 200, headers=FORWARDED).body


def test_a_browser_is_remembered_without_its_control_characters(
    attack: Attack, author: Person
) -> None:
    credentials = {"email": author.email, "password": author.password}
    agent = b"<script>\x80\x9b31m\xe2\x80\xae " + b"'; DROP TABLE sessions; --" * 20
    answer = attack("POST", "/auth/login", 200, json=credentials, headers={"User-Agent": agent})
    [session, *_] = attack("GET", "/auth/sessions", 200, token=answer.json()["access_token"]).json()
    assert session["current"]
    assert session["user_agent"].isprintable()
    assert len(session["user_agent"]) == 255
