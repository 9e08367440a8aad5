"""Cookies that a page of another origin sends, or that somebody else has set."""

from __future__ import annotations

import re

import httpx
import pytest

from service.specification import specification
from tests.kit import raw
from tests.kit.at_once import bearer
from tests.kit.cookies import NAME, SAME_ORIGIN, Browser, code
from tests.kit.mails import NEW_PASSWORD
from tests.kit.passkeys import added, authenticator, start_login
from tests.kit.second_factors import add_app, challenged
from tests.kit.serving import PASSWORD, Person, Server

ID = "01a1f83c-047f-7c31-9a42-5be07d4f8e16"


@pytest.fixture
def browser(server: Server, anna: Person) -> Browser:
    """A browser in which anna is signed in."""
    opened = Browser(server)
    opened.sign_in(anna)
    return opened


FOREIGN: list[dict[str, str]] = [
    {},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "Same-Origin"},
    {"Sec-Fetch-Site": "same-origin, same-origin"},
    {"Sec-Fetch-Site": "same-site", "Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "*"},
    {"Origin": ""},
    {"Referer": "http://127.0.0.1/"},
    {"X-Requested-With": "XMLHttpRequest"},
]


@pytest.mark.parametrize("operation", ["/auth/refresh", "/auth/logout"])
def test_a_cookie_alone_is_not_believed(server: Server, browser: Browser, operation: str) -> None:
    with server.client(Cookie=f"{NAME}={browser.token}") as http:
        for headers in FOREIGN:
            answer = http.post(operation, headers=headers)
            assert code(answer) == (403, "origin-not-allowed"), headers
            assert "Set-Cookie" not in answer.headers
    assert browser.refresh().status_code == 200  # the session goes on


def test_the_page_is_checked_before_the_token(anonymous: httpx.Client) -> None:
    for token in ("a.b.c", "x", "a" * 9000):
        answer = anonymous.post("/auth/refresh", headers={"Cookie": f"{NAME}={token}"})
        assert code(answer) == (403, "origin-not-allowed")


def test_a_page_that_could_not_use_the_cookie_is_not_given_one(
    anonymous: httpx.Client, anna: Person
) -> None:
    before = anna.http.get("/auth/sessions").json()
    body = {"email": anna.email, "password": PASSWORD, "transport": "cookie"}
    for headers in FOREIGN:
        answer = anonymous.post("/auth/login", json=body, headers=headers)
        assert code(answer) == (403, "origin-not-allowed"), headers
        assert "Set-Cookie" not in answer.headers
    assert anna.http.get("/auth/sessions").json() == before


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_a_page_that_could_not_use_the_cookie_does_not_learn_whether_a_password_is_right(
    anonymous: httpx.Client, anna: Person, password: str
) -> None:
    body = {"email": anna.email, "password": password, "transport": "cookie"}
    assert code(anonymous.post("/auth/login", json=body)) == (403, "origin-not-allowed")
    proof = {"password": password, "transport": "cookie"}
    answer = anna.http.post("/auth/reauthenticate", json=proof)
    assert code(answer) == (403, "origin-not-allowed")
    change = {"current_password": password, "new_password": NEW_PASSWORD, "transport": "cookie"}
    assert code(anna.http.put("/auth/password", json=change)) == (403, "origin-not-allowed")


def test_a_page_that_could_not_use_the_cookie_uses_no_factor_up(
    server: Server, anonymous: httpx.Client, anna: Person
) -> None:
    device = authenticator(server, step=1)
    added(anna, device)
    begun = start_login(anonymous)
    passkey = device.get(begun["passkey_options"])
    body = {"challenge": begun["challenge"], "passkey": passkey}
    refused = anonymous.post("/auth/login/passkey", json=body | {"transport": "cookie"})
    assert code(refused) == (403, "origin-not-allowed")
    app = add_app(anna)
    second = {"challenge": challenged(anonymous, anna), "transport": "cookie"}
    for guess in (app.code(), app.wrong_code):
        refused = anonymous.post("/auth/login/second-factor", json=second | {"code": guess})
        assert code(refused) == (403, "origin-not-allowed")
    assert anonymous.post("/auth/login/passkey", json=body).status_code == 200


def test_what_a_form_can_send_signs_nobody_in(anonymous: httpx.Client, anna: Person) -> None:
    body = f'{{"email": "{anna.email}", "password": "{PASSWORD}", "transport": "cookie"}}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        headers = SAME_ORIGIN | {"Content-Type": kind}
        answer = anonymous.post("/auth/login", content=body, headers=headers)
        assert code(answer) == (415, "unsupported-media-type")


def test_an_authorization_header_is_the_only_credential_where_there_is_one(
    browser: Browser, ben: Person
) -> None:
    for header in ("", "Bearer", "Bearer a.b.c", "Basic YTpi", "Bearer undefined"):
        answer = browser.refresh(headers={"Authorization": header})
        assert answer.status_code == 401, header
    answer = browser.refresh(headers=bearer(ben.tokens["refresh_token"]))
    assert "refresh_token" in answer.json()
    assert "Set-Cookie" not in answer.headers
    assert browser.send("/auth/logout", headers=bearer(ben.tokens["access_token"])).is_success
    assert browser.refresh().status_code == 200  # anna's session goes on


def test_an_access_token_in_the_cookie_is_refused(browser: Browser) -> None:
    access = browser.refresh().json()["access_token"]
    for operation in ("/auth/refresh", "/auth/logout"):
        browser.token = access
        assert code(browser.send(operation)) == (401, "invalid-token")


COOKIES = {
    "{name}={token}": None,
    "theme=dark; {name}={token}; lang=de": None,
    "theme=dark;{name}={token};": None,
    ";; {name}={token};;": None,
    'a="x; {name}=forged; y"; {name}={token}': "invalid-token",  # quotes do not protect a semicolon
    "{name}=": "authentication-required",
    "{name}": "authentication-required",
    "=": "authentication-required",
    "": "authentication-required",
    "theme=dark": "authentication-required",
    "={name}={token}": "authentication-required",
    "{name} ={token}": "authentication-required",
    "__host-refresh={token}": "authentication-required",
    "refresh={token}": "authentication-required",
    "__Secure-refresh={token}": "authentication-required",
    "$Version=1; ${name}={token}": "authentication-required",
    "$Version=1,{name}={token}": "authentication-required",
    "\u2000{name}={token}": "authentication-required",
    "\x85{name}={token}": "authentication-required",
    "\xa0{name}={token}": "authentication-required",
    "a=b;\t{name}={token}": "authentication-required",
    "a=b, {name}={token}": "authentication-required",
    '{name}="{token}"': "invalid-token",
    "{name}= {token}": "invalid-token",
    "{name}={token}=": "invalid-token",
    "{name}=%20{token}": "invalid-token",
    "{name}={token}, {name}={token}": "invalid-token",
    "{name}={token}; {name}={token}": "invalid-token",
    "{name}=a.b.c; {name}={token}": "invalid-token",
    "{name}=; {name}={token}": "invalid-token",
    "{name}=" + "a" * 20_000: "invalid-token",
    "{name}=\xff\xfe": "invalid-token",
}


def test_one_spelling_of_the_cookie_is_read(browser: Browser) -> None:
    got: dict[str, str | None] = {}
    for spelling in COOKIES:
        sent = spelling.format(name=NAME, token=browser.token).encode()
        answer = browser.http.post("/auth/refresh", headers=SAME_ORIGIN | {"Cookie": sent})
        if answer.is_success:
            browser.keep(answer)
        got[spelling] = None if answer.is_success else answer.json()["code"]
    assert got == COOKIES


def test_several_cookie_headers_are_one(server: Server, browser: Browser) -> None:
    lines = ["Sec-Fetch-Site: same-origin", "Cookie: theme=dark", "Cookie: lang=de"]
    twice = f"Cookie: {NAME}={browser.token}"
    data = raw.request("POST", "/auth/refresh", *lines, twice, twice)
    assert raw.exchange(server.url, data).status == 401
    data = raw.request("POST", "/auth/refresh", *lines, twice, "Cookie: last=1")
    assert raw.exchange(server.url, data).status == 200


def test_a_cookie_larger_than_all_headers_may_be_is_refused(browser: Browser) -> None:
    browser.token = "a" * 33_000
    assert browser.refresh().status_code == 431


def test_no_other_operation_looks_at_a_cookie(browser: Browser) -> None:
    access = browser.refresh().json()["access_token"]
    for token in (browser.token, access):
        browser.token = token
        for path, item in specification.document["paths"].items():
            for method, declared in item.items():
                if {"accessToken": []} not in declared["security"] or path == "/auth/logout":
                    continue
                answer = browser.send(re.sub(r"{\w+}", ID, path), method.upper())
                assert code(answer) == (401, "authentication-required"), (method, path)


def test_signing_out_without_a_cookie_removes_none(anonymous: httpx.Client) -> None:
    for headers in ({}, SAME_ORIGIN, {"Sec-Fetch-Site": "cross-site"}):
        answer = anonymous.post("/auth/logout", headers=headers)
        assert code(answer) == (401, "authentication-required")
        assert "Set-Cookie" not in answer.headers


def test_a_link_neither_refreshes_nor_signs_out(browser: Browser) -> None:
    for path in ("/auth/refresh", "/auth/logout"):
        for method in ("GET", "HEAD"):
            assert browser.send(path, method).status_code == 405
    assert browser.refresh().status_code == 200
