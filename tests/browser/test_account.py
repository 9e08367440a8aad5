"""The page of the account, used as a person would: signing in, sessions, passkeys, fresh proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.kit.artefacts import keep
from tests.kit.authenticators import at_localhost, authenticator, devtools
from tests.kit.legibility import DESK, PHONE, focused_by_tab, unreadable
from tests.kit.serving import PASSWORD, Person, Server
from tests.kit.sessions import make_old
from tests.kit.smtp import until

NARROW = {"width": 380, "height": 800}

Open = Callable[..., Page]


@pytest.fixture
def tab(server: Server, open_tab: Open) -> Iterator[Page]:
    """The page, in a browser with an authenticator."""
    with at_localhost(server) as here:
        page = open_tab(here)
        authenticator(devtools(page))
        page.goto("/account")
        yield page


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def sign_in(page: Page, person: Person, password: str = PASSWORD) -> None:
    form = page.locator("#sign-in")
    form.get_by_label("E-mail address").fill(person.email)
    form.get_by_label("Password").fill(password)
    press(page, "Sign in")


def signed_in(page: Page, person: Person) -> Page:
    sign_in(page, person)
    expect(page.locator("#who")).to_have_text(person.email)
    return page


def entries(page: Page, section: str) -> Locator:
    return page.locator(f"#{section} li")


def keep_codes(page: Page) -> list[str]:
    """The recovery codes that are shown with the first second factor."""
    dialog = page.get_by_role("dialog", name="Your recovery codes")
    codes = dialog.locator("pre").inner_text().split()
    dialog.get_by_role("button").click()
    return codes


def add_passkey(page: Page, name: str) -> None:
    page.get_by_label("Name of a new passkey").fill(name)
    press(page, "Add a passkey")


def test_a_wrong_password_is_told_and_the_right_one_signs_in(tab: Page, anna: Person) -> None:
    sign_in(tab, anna, "wrong horse")
    expect(tab.locator("#alert")).to_contain_text("is wrong")
    signed_in(tab, anna)
    expect(tab.get_by_role("heading", name="Your account")).to_be_focused()
    tab.reload()
    expect(tab.locator("#who")).to_have_text(anna.email)


def test_other_sessions_are_shown_and_ended(tab: Page, server: Server, anna: Person) -> None:
    for _ in range(2):
        server.sign_in(anna.email)
    signed_in(tab, anna)
    sessions = entries(tab, "sessions")
    expect(sessions).to_have_count(4)
    expect(sessions.first).to_contain_text("This session")
    expect(sessions.first.get_by_role("button")).to_have_count(0)
    sessions.last.get_by_role("button").click()
    expect(sessions).to_have_count(3)
    expect(tab.get_by_role("heading", name="Sessions")).to_be_focused()
    assert anna.http.get("/auth/me").status_code == 401
    press(tab, "Sign out everywhere else")
    expect(sessions).to_have_count(1)
    expect(tab.get_by_role("status")).to_contain_text("signed out everywhere else")


def test_a_passkey_is_added_signs_in_and_is_removed(tab: Page, anna: Person) -> None:
    signed_in(tab, anna)
    add_passkey(tab, "My laptop")
    keep_codes(tab)
    passkeys = entries(tab, "passkeys")
    expect(passkeys).to_contain_text("My laptop")
    press(tab, "Sign out")
    press(tab, "Sign in with a passkey")
    expect(tab.locator("#who")).to_have_text(anna.email)
    expect(passkeys).to_contain_text("Last used")
    press(tab, "Remove My laptop")
    expect(passkeys).to_have_count(0)
    press(tab, "Sign out")
    press(tab, "Sign in with a passkey")
    expect(tab.locator("#alert")).to_contain_text("Nobody has this passkey")


def test_a_sign_in_of_long_ago_is_proved_again_and_the_page_goes_on(
    tab: Page, anna: Person
) -> None:
    signed_in(tab, anna)
    make_old(anna)
    tab.reload()
    add_passkey(tab, "My laptop")
    dialog = tab.get_by_role("dialog", name="Is it still you?")
    dialog.get_by_label("Password").fill("wrong horse")
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog.get_by_role("alert")).to_contain_text("is wrong")
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog).to_be_hidden()
    keep_codes(tab)
    expect(entries(tab, "passkeys")).to_contain_text("My laptop")


def test_nothing_is_done_if_it_is_not_proved(tab: Page, anna: Person) -> None:
    signed_in(tab, anna)
    make_old(anna)
    tab.reload()
    press(tab, "Sign out everywhere else")
    dialog = tab.get_by_role("dialog", name="Is it still you?")
    expect(dialog.get_by_label("Password")).to_be_focused()
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(tab.locator("#alert")).to_contain_text("Prove again who you are")
    expect(entries(tab, "sessions")).to_have_count(2)
    expect(tab.locator("#who")).to_have_text(anna.email)


def test_a_session_that_ended_elsewhere_shows_the_way_in(tab: Page, anna: Person) -> None:
    signed_in(tab, anna)
    assert anna.http.delete("/auth/sessions").status_code == 204
    add_passkey(tab, "My laptop")
    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(tab.locator("#alert")).to_contain_text("session has ended")


def test_an_access_token_that_has_expired_is_renewed(
    tab: Page, server: Server, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(server.flask.config, "ACCESS_TOKEN_TTL", 1)
    signed_in(tab, anna)
    renewed = []
    tab.on("request", lambda request: renewed.append(request.url.endswith("/auth/refresh")))
    read = "import('/docs/account-session.js').then(({ call }) => call('GET', 'auth/me'))"

    def is_renewed() -> bool:
        assert tab.evaluate(read)["email"] == anna.email
        return any(renewed)

    until(is_renewed)


@pytest.mark.parametrize(
    ("name", "look"),
    [
        pytest.param("light", {"color_scheme": "light", "viewport": DESK}, id="light"),
        pytest.param("dark-phone", {"color_scheme": "dark", "viewport": PHONE}, id="dark-phone"),
        pytest.param("narrow", {"color_scheme": "light", "viewport": NARROW}, id="narrow"),
    ],
)
def test_the_page_can_be_read_and_used_by_keyboard(
    server: Server, open_tab: Open, anna: Person, name: str, look: dict[str, Any]
) -> None:
    with at_localhost(server) as here:
        page = open_tab(here, **look)
        authenticator(devtools(page))
        page.goto("/account")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        keep(page, f"account-sign-in-{name}")
        assert unreadable(page) == []
        signed_in(page, anna)
        add_passkey(page, "My laptop")
        keep_codes(page)
        expect(entries(page, "passkeys")).to_have_count(1)
        keep(page, f"account-{name}")
        assert unreadable(page) == []
        page.locator("h1:visible").focus()
        reached = dict(focused_by_tab(page) for _ in range(5))
        assert {"Sign out", "End", "Sign out everywhere else"} <= reached.keys()
        assert [text for text, is_shown in reached.items() if not is_shown] == []
        make_old(anna)
        page.reload()
        press(page, "Sign out everywhere else")
        expect(page.get_by_role("dialog")).to_be_visible()
        keep(page, f"account-proof-{name}")
        assert unreadable(page) == []


def test_a_personal_token_is_shown_once_and_revoked(
    tab: Page, server: Server, anna: Person
) -> None:
    signed_in(tab, anna)
    tab.get_by_label("Name of a new token").fill("Nightly import")
    tab.get_by_label("account:read", exact=True).check()
    press(tab, "Create a token")
    dialog = tab.get_by_role("dialog", name="The token Nightly import")
    token = dialog.locator("pre").inner_text()
    with server.client(token) as program:
        assert program.get("/auth/me").json()["id"] == anna.id
        dialog.get_by_role("button").click()
        expect(entries(tab, "tokens")).to_contain_text("account:read")
        assert token not in tab.content()
        press(tab, "Revoke Nightly import")
        expect(entries(tab, "tokens")).to_have_count(0)
        assert program.get("/auth/me").status_code == 401


def test_a_token_without_a_scope_is_refused_with_its_reason(tab: Page, anna: Person) -> None:
    signed_in(tab, anna)
    tab.get_by_label("Name of a new token").fill("Nightly import")
    press(tab, "Create a token")
    expect(tab.locator("#alert")).to_contain_text("/scopes")


def test_a_busy_server_signs_nobody_out(tab: Page, anna: Person) -> None:
    signed_in(tab, anna)
    busy = {"status": 503, "content_type": "application/problem+json", "body": "{}"}
    tab.route("**/auth/refresh", lambda route: route.fulfill(**busy), times=1)
    tab.reload()
    expect(tab.locator("#who")).to_have_text(anna.email)


def test_with_a_passkey_a_password_is_only_the_first_step(tab: Page, anna: Person) -> None:
    signed_in(tab, anna)
    add_passkey(tab, "My laptop")
    [code, *_] = keep_codes(tab)
    for step in (lambda: press(tab, "Use a passkey"), lambda: complete(tab, code)):
        press(tab, "Sign out")
        sign_in(tab, anna)
        expect(tab.get_by_role("heading", name="One more step")).to_be_visible()
        step()
        expect(tab.locator("#who")).to_have_text(anna.email)
    make_old(anna)
    tab.reload()
    press(tab, "New recovery codes")
    dialog = tab.get_by_role("dialog", name="Is it still you?")
    expect(dialog.get_by_label("Password")).to_be_hidden()
    dialog.get_by_role("button", name="Use a passkey").click()
    assert not {code} & set(keep_codes(tab))


def complete(page: Page, code: str) -> None:
    form = page.locator("#code-sign-in")
    form.get_by_label("Code of your app").fill(code)
    form.get_by_role("button").click()
