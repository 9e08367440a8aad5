"""One reading of names, addresses and tokens; paths are in engine/test_traps_in_addresses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit import raw
from tests.kit.authorizations import AUTHORIZATIONS
from tests.kit.raw import SECRET, get, post, table

OK, NO_TOKEN = (200, None), (401, "authentication-required")
PASSWORD = "correct horse battery staple"


@pytest.mark.parametrize("query", ["username=bob%0A", f"nobody={SECRET}", "after=1"])
def test_a_query_is_read_as_the_specification_says(query: str, server: Any) -> None:
    raw.expect(server, get(f"/api/users?{query}"), (400, "invalid-request"))


NAMES = ["bob\n", "Bob", "bo", "b" * 31, "_bob", "bob!", "bób", "bob ", "", "bob\u200b", "b\u0131b"]
ADDRESSES = [
    *["bob", "@", "a@", "@b", "a@b@c.de", "a b@c.de", "a@b c.de", " a@b.de", "a@b.de ", "a@b.de\n"],
    *["a@[127.0.0.1]", '"a b"@c.de', "a..b@c.de", ".a@b.de", "a@-b.de", "a@b..de", "<a@b.de>"],
    *["A <a@b.de>", "a@b.de,c@d.de", "a@b.de\r\nBcc: c@d.de", f"{'a' * 250}@b.de", "a\u0000@b.de"],
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_user_name_has_the_documented_form(name: str, anonymous: Any) -> None:
    body = {"email": "new@example.com", "password": PASSWORD, "username": name}
    answer = anonymous.post("/auth/register", json=body)
    assert answer.status_code == 400
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/username"}


@pytest.mark.parametrize("address", ADDRESSES, ids=ascii)
def test_an_address_is_one_that_mail_can_go_to(address: str, anonymous: Any) -> None:
    body = {"email": address, "password": PASSWORD}
    answer = anonymous.post("/auth/register", json=body)
    assert answer.status_code == 400
    assert answer.json()["code"] in {"invalid-request", "malformed-body"}
    assert PASSWORD not in answer.text


@table(AUTHORIZATIONS)
def test_a_token_is_accepted_once_and_as_bearer_only(
    data: Any, expected: Any, server: Any, anna: Any
) -> None:
    answer = raw.expect(server, get("/auth/me", data), expected, anna.tokens["access_token"])
    if answer.status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("path", ["/auth/me?access_token={token}", "/auth/me"])
def test_a_token_outside_the_authorization_header_is_ignored(
    path: str, server: Any, anna: Any
) -> None:
    cookie, form = "Cookie: access_token={token}", "X-Authorization: Bearer {token}"
    raw.expect(server, get(path, cookie, form), NO_TOKEN, anna.tokens["access_token"])


@pytest.mark.parametrize("value", ["Bearer a.b.c", f"Bearer {SECRET}", "Basic YTpi", "", "\xff"])
@pytest.mark.parametrize("path", ["/api/users", "/health/ready", "/openapi.json"])
def test_a_public_operation_does_not_look_at_authorization(
    path: str, value: str, server: Any
) -> None:
    raw.expect(server, get(path, f"Authorization: {value}"), OK)


def test_signing_in_does_not_look_at_authorization(server: Any, anna: Any) -> None:
    body = b'{"email": "%b", "password": "%b"}' % (anna.email.encode(), anna.password.encode())
    raw.expect(server, post(body, target="/auth/login"), OK, token="a.b.c")


def test_no_line_of_the_log_repeats_what_was_sent(
    serve: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve(log_level="DEBUG")
    sent = [
        get(f"/{SECRET}?q={SECRET}", f"X-Secret: {SECRET}", f"Cookie: {SECRET}"),
        get(f"/api/users/{SECRET}"),
        get("/auth/me", f"Authorization: Bearer {SECRET}"),
        get("/", host=SECRET),
        post(b'{"email": "%b", "password": "%b"}' % ((SECRET.encode(),) * 2), target="/auth/login"),
        f"{SECRET} / HTTP/1.1\r\n\r\n".encode(),
    ]
    for data in sent:
        raw.check(raw.exchange(server.url, data))
    log = "".join(capfd.readouterr())
    assert log.count('"event":"request"') == len(sent) - 1  # the last is no request
    assert "Invalid HTTP request" in log
    assert SECRET not in log
