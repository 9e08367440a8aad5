"""The refresh token in a cookie, as browsers keep it."""

from __future__ import annotations

import pytest

from tests.kit.at_once import at_once, bearer
from tests.kit.cookies import CLEARED, NAME, SAME_ORIGIN, SET, Browser, code
from tests.kit.serving import PASSWORD, Person, Server


@pytest.fixture
def browser(server: Server, anna: Person) -> Browser:
    """A browser in which anna is signed in."""
    opened = Browser(server)
    opened.sign_in(anna)
    return opened


def test_a_sign_in_sets_the_cookie_and_keeps_the_token_out_of_the_body(
    server: Server, anna: Person
) -> None:
    body = {"email": anna.email, "password": PASSWORD, "transport": "cookie"}
    with server.client(**SAME_ORIGIN) as http:
        answer = http.post("/auth/login", json=body)
        [value] = answer.headers.get_list("Set-Cookie")
        token, seconds = SET.fullmatch(value).groups()  # type: ignore[union-attr]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json().keys() == anna.tokens.keys() - {"refresh_token"}
        assert int(seconds) == answer.json()["refresh_expires_in"]
        assert token not in answer.text
        assert http.get("/auth/me", headers=bearer(answer.json()["access_token"])).is_success


def test_without_the_cookie_transport_no_cookie_is_set(server: Server, anna: Person) -> None:
    body = {"email": anna.email, "password": PASSWORD}
    with server.client(**SAME_ORIGIN) as http:
        for transport in ({}, {"transport": "body"}):
            answer = http.post("/auth/login", json=body | transport)
            renewed = http.post("/auth/refresh", headers=bearer(answer.json()["refresh_token"]))
            out = http.post("/auth/logout", headers=bearer(renewed.json()["refresh_token"]))
            assert [one.status_code for one in (answer, renewed, out)] == [200, 200, 204]
            assert not [one for one in (answer, renewed, out) if "Set-Cookie" in one.headers]


def test_refreshing_replaces_the_cookie(browser: Browser) -> None:
    first = browser.token
    answer = browser.refresh()
    assert answer.status_code == 200
    assert "refresh_token" not in answer.json()
    assert browser.token not in {"", first}
    assert answer.headers["Cache-Control"] == "no-store"
    assert browser.refresh().status_code == 200


def test_logging_out_ends_the_session_and_removes_the_cookie(browser: Browser) -> None:
    access, kept = browser.refresh().json()["access_token"], browser.token
    answer = browser.send("/auth/logout")
    assert (answer.status_code, answer.headers["Set-Cookie"]) == (204, CLEARED)
    assert code(browser.send("/auth/me", "GET", headers=bearer(access))) == (401, "session-revoked")
    browser.token = kept
    assert code(browser.refresh()) == (401, "session-revoked")


def test_two_tabs_that_refresh_at_once_both_go_on(browser: Browser) -> None:
    """Each of their answers sets the cookie; whichever the browser keeps is good."""
    first = browser.token
    headers = {**SAME_ORIGIN, "Cookie": f"{NAME}={first}", "User-Agent": "Firefox/140"}
    answers = at_once(
        lambda: browser.http.post("/auth/refresh", headers=headers),
        lambda: browser.http.post("/auth/refresh", headers=headers),
    )
    assert [answer.status_code for answer in answers] == [200, 200]
    for answer in answers:
        access = answer.json()["access_token"]
        assert browser.send("/auth/me", "GET", headers=bearer(access)).is_success
    browser.token = SET.fullmatch(answers[0].headers["Set-Cookie"])[1]  # type: ignore[index]
    assert browser.refresh().status_code == 200


def test_a_stolen_cookie_ends_the_session_and_no_refusal_touches_the_browsers(
    browser: Browser,
) -> None:
    stolen = browser.token
    for _ in range(2):
        assert browser.refresh().status_code == 200
    kept, browser.token = browser.token, stolen
    answer = browser.refresh()
    assert code(answer) == (401, "token-reused")
    assert "Set-Cookie" not in answer.headers
    browser.token = kept
    answer = browser.refresh()
    assert code(answer) == (401, "session-revoked")
    assert "Set-Cookie" not in answer.headers


def test_a_new_password_keeps_the_browser_signed_in_with_a_new_cookie(
    browser: Browser, anna: Person
) -> None:
    access, old = browser.refresh().json()["access_token"], browser.token
    body = {"current_password": PASSWORD, "new_password": "seven purple herons at dawn"}
    answer = browser.send(
        "/auth/password", "PUT", json=body | {"transport": "cookie"}, headers=bearer(access)
    )
    assert answer.status_code == 200
    assert "refresh_token" not in answer.json()
    assert browser.token not in {"", old}
    assert browser.refresh().status_code == 200
    assert anna.http.get("/auth/me").status_code == 401


def test_a_fresh_proof_renews_the_cookie_without_telling_the_token(browser: Browser) -> None:
    access, old = browser.refresh().json()["access_token"], browser.token
    proof = {"password": PASSWORD, "transport": "cookie"}
    answer = browser.send("/auth/reauthenticate", json=proof, headers=bearer(access))
    assert answer.status_code == 200
    assert "refresh_token" not in answer.json()
    assert browser.token not in {"", old}
    assert browser.refresh().status_code == 200


def test_a_transport_proves_nothing(anna: Person) -> None:
    answer = anna.http.post("/auth/reauthenticate", json={"transport": "body"})
    assert code(answer) == (400, "invalid-request")
    [error] = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == ("", "one-proof")


def test_a_refresh_beside_a_logout_does_not_bring_the_session_back(browser: Browser) -> None:
    """The answer of the refresh may set the cookie after that of the logout has removed it."""
    headers = {**SAME_ORIGIN, "Cookie": f"{NAME}={browser.token}"}
    renewed, out = at_once(
        lambda: browser.http.post("/auth/refresh", headers=headers),
        lambda: browser.http.post("/auth/logout", headers=headers),
    )
    assert out.status_code == 204
    assert renewed.status_code in {200, 401}
    browser.keep(renewed)
    assert code(browser.refresh()) == (401, "session-revoked")
