"""The cookie of the refresh token in a real browser: who can read it, send it or set it.

A page at another port of 127.0.0.1 is of another origin but of the same site, so the browser sends
the cookie along; one at localhost is of another site.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.kit.foreign_pages import foreign_pages
from tests.kit.serving import PASSWORD, Person, Server, serving

# Sends a request as a script of the page, and returns its status or why there is none.
FETCH = """([url, body, type, mode]) => fetch(url, {
  method: 'POST', mode, credentials: 'include', body, headers: type ? {'Content-Type': type} : {},
}).then((answer) => answer.status, () => 'refused')"""
# Sends it as a form, whose answer replaces the page.
FORM = """([url, body]) => {
  const form = document.createElement('form')
  Object.assign(form, {method: 'post', enctype: 'text/plain', action: url})
  const field = document.createElement('input')
  Object.assign(field, {type: 'hidden', name: body.slice(0, -2), value: body.slice(-1)})
  form.append(field)
  document.body.append(form)
  form.submit()
}"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with foreign_pages() as port:
        yield port


@pytest.fixture(params=["127.0.0.1", "localhost"])
def elsewhere(request: pytest.FixtureRequest, port: int) -> str:
    return f"http://{request.param}:{port}"


@pytest.fixture
def window(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    with browser.new_context(base_url=server.url) as context:
        yield context


def credentials(person: Person) -> dict[str, str]:
    return {"email": person.email, "password": PASSWORD, "transport": "cookie"}


def signed_in(window: BrowserContext, person: Person) -> Page:
    page = window.new_page()
    page.goto("/account")
    page.get_by_label("E-mail address").fill(person.email)
    page.locator("#sign-in").get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("#who")).to_have_text(person.email)
    return page


def cookies(window: BrowserContext) -> dict[str, Any]:
    return {str(cookie["name"]): cookie for cookie in window.cookies()}


def json(person: Person) -> str:
    email, password = person.email, PASSWORD
    return f'{{"email":"{email}","password":"{password}","transport":"cookie","x":"=1"}}'


def test_a_reload_stays_signed_in_and_no_script_can_read_the_cookie(
    window: BrowserContext, anna: Person
) -> None:
    page = signed_in(window, anna)
    kept = cookies(window)["__Host-refresh"]
    assert (kept["httpOnly"], kept["secure"], kept["sameSite"]) == (True, True, "Strict")
    assert (kept["path"], kept["domain"]) == ("/", "127.0.0.1")
    page.reload()
    expect(page.locator("#who")).to_have_text(anna.email)
    assert cookies(window)["__Host-refresh"]["value"] != kept["value"]
    visible = "() => document.cookie + JSON.stringify([localStorage, sessionStorage])"
    assert page.evaluate(visible) == "[{},{}]"


def test_a_page_of_another_origin_neither_uses_nor_ends_the_session(
    window: BrowserContext, server: Server, anna: Person, elsewhere: str
) -> None:
    page = signed_in(window, anna)
    before = cookies(window)
    other = window.new_page()
    other.goto(elsewhere)
    for path in ("/auth/refresh", "/auth/logout"):
        url = server.url + path
        assert other.evaluate(FETCH, [url, None, None, "cors"]) == "refused"
        assert other.evaluate(FETCH, [url, None, None, "no-cors"]) == 0  # it learns nothing
        with other.expect_navigation():
            other.evaluate(FORM, [url, "any=1"])
        expect(other.locator("body")).to_contain_text(
            "origin-not-allowed" if "127" in elsewhere else "authentication-required"
        )
        other.goto(elsewhere)
    assert cookies(window) == before
    page.reload()
    expect(page.locator("#who")).to_have_text(anna.email)
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert cookies(window) == {}


def test_a_page_of_another_origin_signs_nobody_in(
    window: BrowserContext, server: Server, anna: Person, ben: Person, elsewhere: str
) -> None:
    signed_in(window, anna)
    before = cookies(window)
    other = window.new_page()
    other.goto(elsewhere)
    url = f"{server.url}/auth/login"
    for kind, mode, outcome in (
        ("application/json", "cors", "refused"),
        ("text/plain", "cors", "refused"),
        ("text/plain", "no-cors", 0),
    ):
        assert other.evaluate(FETCH, [url, json(ben), kind, mode]) == outcome
    with other.expect_navigation():
        other.evaluate(FORM, [url, json(ben)])
    expect(other.locator("body")).to_contain_text("unsupported-media-type")
    assert cookies(window) == before
    assert len(ben.http.get("/auth/sessions").json()) == 1


def test_a_page_of_a_listed_origin_uses_the_cookie_if_it_is_of_the_same_site(
    browser: Browser, port: int, tmp_path: Path
) -> None:
    script = """async ([api, body]) => {
      const post = (path, body) => fetch(api + path, {
        method: 'POST', credentials: 'include', body: body && JSON.stringify(body),
        headers: body ? {'Content-Type': 'application/json'} : {},
      }).then((answer) => answer.status)
      return [
        await post('/auth/login', body), await post('/auth/refresh'), await post('/auth/logout'),
        await post('/auth/refresh'),
      ]
    }"""
    origins = {host: f"http://{host}:{port}" for host in ("127.0.0.1", "localhost")}
    with (
        serving(tmp_path, cors_origins=",".join(origins.values())) as server,
        browser.new_context() as window,
    ):
        anna, page = server.sign_up(), window.new_page()
        page.goto(origins["127.0.0.1"])
        statuses = page.evaluate(script, [server.url, credentials(anna)])
        assert statuses == [200, 200, 204, 401]
        # Another site's page is told its access token, but the browser keeps no cookie for it.
        page.goto(origins["localhost"])
        statuses = page.evaluate(script, [server.url, credentials(anna)])
        assert statuses == [200, 401, 401, 401]
        assert cookies(window) == {}


def test_tabs_share_the_session_and_its_end(window: BrowserContext, anna: Person) -> None:
    one = signed_in(window, anna)
    other = window.new_page()
    other.goto("/account")
    expect(other.locator("#who")).to_have_text(anna.email)
    other.get_by_role("button", name="Sign out", exact=True).click()
    for tab in (one, other):
        expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_tab_of_somebody_else_becomes_that_of_who_signed_in_last(
    window: BrowserContext, anna: Person, ben: Person
) -> None:
    one = signed_in(window, anna)
    other = window.new_page()
    other.goto("/")
    body = credentials(ben)
    other.evaluate(
        """(body) => fetch('auth/login', {method: 'POST', body: JSON.stringify(body),
          headers: {'Content-Type': 'application/json'}}).then((answer) => answer.text())""",
        body,
    )
    anna.http.delete("/auth/sessions")
    one.evaluate("void import('/docs/account-session.js').then(({refresh}) => refresh())")
    expect(one.locator("#who")).to_have_text(ben.email)
