"""The page of the account with an authenticator app: setting it up, signing in, recovery codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyotp
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.kit.artefacts import keep
from tests.kit.legibility import PHONE, unreadable
from tests.kit.second_factors import App, add_app
from tests.kit.serving import PASSWORD, Person, Server
from tests.kit.sessions import make_old


@pytest.fixture
def tab(server: Server, open_tab: Callable[..., Page]) -> Iterator[Page]:
    page = open_tab(server, color_scheme="dark", viewport=PHONE)
    page.goto("/account")
    return page


def press(page: Page | Locator, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def sign_in(page: Page, person: Person) -> None:
    form = page.locator("#sign-in")
    form.get_by_label("E-mail address").fill(person.email)
    form.get_by_label("Password").fill(PASSWORD)
    press(form, "Sign in")


def complete(page: Page, code: str) -> None:
    form = page.locator("#code-sign-in")
    form.get_by_label("Code of your app").fill(code)
    press(form, "Continue")


def test_an_app_is_set_up_and_its_recovery_codes_are_shown_once(tab: Page, anna: Person) -> None:
    sign_in(tab, anna)
    press(tab, "Set up an app")
    picture = tab.get_by_role("img", name="QR code")
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("(image) => image.naturalWidth") > 0
    assert unreadable(tab) == []
    keep(tab, "account-qr-code")
    secret = tab.locator("#secret").inner_text().replace(" ", "")
    tab.get_by_label("The code that the app shows now").fill(pyotp.TOTP(secret).now())
    press(tab, "Confirm")
    dialog = tab.get_by_role("dialog", name="Your recovery codes")
    codes = dialog.locator("pre").inner_text().split()
    assert len(set(codes)) == 10
    keep(tab, "account-recovery-codes")
    press(dialog, "I have kept it")
    expect(tab.locator("#factors li").last).to_contain_text("10 are left")
    shown = tab.content()
    assert secret not in shown
    assert not [code for code in codes if code in shown]
    expect(tab.locator("#sessions li")).to_have_count(1)  # the others have ended


def test_a_code_completes_the_sign_in_and_a_recovery_code_does_once(
    tab: Page, anna: Person
) -> None:
    app = add_app(anna)
    for code in (app.code(), app.recovery_codes[0]):
        sign_in(tab, anna)
        expect(tab.get_by_role("heading", name="One more step")).to_be_visible()
        expect(tab.locator("#passkey-second")).to_be_hidden()
        complete(tab, code)
        expect(tab.locator("#who")).to_have_text(anna.email)
        tab.reload()
        expect(tab.locator("#who")).to_have_text(anna.email)
        press(tab, "Sign out")
    sign_in(tab, anna)
    complete(tab, app.recovery_codes[0])
    expect(tab.locator("#alert")).to_contain_text("wrong, or it was used before")
    press(tab, "Start over")
    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.fixture
def app(tab: Page, anna: Person) -> App:
    """The app of a user who is signed in on the page since long ago."""
    app = add_app(anna)
    sign_in(tab, anna)
    complete(tab, app.code())
    expect(tab.locator("#who")).to_have_text(anna.email)
    app.forget_used()
    make_old(anna)
    tab.reload()
    expect(tab.locator("#who")).to_have_text(anna.email)
    return app


def test_new_recovery_codes_and_the_end_of_the_app_take_a_fresh_code(tab: Page, app: App) -> None:
    press(tab, "New recovery codes")
    proof = tab.get_by_role("dialog", name="Is it still you?")
    expect(proof.get_by_label("Password")).to_be_hidden()
    proof.get_by_label("Code of your app").fill(app.code())
    press(proof, "Continue")
    dialog = tab.get_by_role("dialog", name="Your recovery codes")
    assert not set(dialog.locator("pre").inner_text().split()) & set(app.recovery_codes)
    press(dialog, "I have kept it")
    press(tab, "Remove the app")
    expect(tab.locator("#factors li")).to_have_count(0)
    expect(tab.get_by_role("button", name="Set up an app")).to_be_visible()
