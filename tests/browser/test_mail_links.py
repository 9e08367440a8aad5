"""The links in mails, opened in a real browser: a button, a form, and plain words otherwise."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.kit.mailbox import text
from tests.kit.serving import Person, Server

NEW_PASSWORD = "seven purple herons at dawn"
DEAD = "This link no longer works"


def mailed(server: Server, address: str, subject: str, number: int = 0) -> str:
    """The link of this number in a mail, from behind the site's address on."""
    [message] = server.mailbox.wait(address, subject)
    return str(re.findall(r"/#/\S+\?token=\S+", text(message))[number])


def verification(person: Person) -> str:
    return mailed(person.server, person.email, "Confirm your e-mail address")


def disputing(person: Person) -> str:
    return mailed(person.server, person.email, "Confirm your e-mail address", 1)


def reset(person: Person) -> str:
    with person.server.client() as anonymous:
        answer = anonymous.post("/auth/password-resets", json={"email": person.email})
        assert answer.status_code == 202
    return mailed(person.server, person.email, "Choose a new password")


def account(person: Person) -> dict[str, Any]:
    return dict(person.http.get("/auth/me").json())


def confirm(page: Page) -> None:
    page.get_by_role("button", name="Confirm this address").click()


def choose(page: Page, password: str) -> None:
    page.get_by_label("New password").fill(password)
    page.get_by_role("button", name="Set the password").click()


def heading(page: Page, name: str) -> Locator:
    return page.get_by_role("heading", name=name)


each_link = pytest.mark.parametrize("link", [verification, disputing, reset])


def test_the_button_confirms_the_address_and_opening_the_link_does_not(
    page: Page, anna: Person
) -> None:
    page.goto(verification(anna), wait_until="networkidle")
    expect(page).to_have_title("Confirm your address")
    assert account(anna)["email_verified"] is False

    confirm(page)
    expect(heading(page, "Your address is confirmed")).to_be_focused()
    assert account(anna)["email_verified"] is True


def test_a_link_to_which_parameters_were_added_works(page: Page, anna: Person) -> None:
    link = verification(anna)
    page.goto(link.replace("/#/", "/?utm_source=newsletter&fbclid=x#/"))
    expect(page).to_have_url(re.compile(r"\?utm_source=newsletter&fbclid=x#/verify-email$"))
    confirm(page)
    expect(heading(page, "Your address is confirmed")).to_be_visible()
    assert account(anna)["email_verified"] is True


def test_the_button_completes_a_change_of_address(page: Page, anna: Person) -> None:
    address = f"new-{anna.email}"
    change = {"email": address, "current_password": anna.password}
    assert anna.http.put("/auth/email", json=change).status_code == 202
    page.goto(mailed(anna.server, address, "Confirm your new e-mail address"))
    confirm(page)
    expect(heading(page, "Your address is confirmed")).to_be_visible()
    assert account(anna)["email"] == address


def test_the_button_removes_an_account_that_a_stranger_made_and_opening_the_link_does_not(
    page: Page, anna: Person
) -> None:
    link = disputing(anna)
    page.goto(link, wait_until="networkidle")
    expect(page).to_have_title("It was not you?")
    assert account(anna)["email"] == anna.email

    page.get_by_role("button", name="It was not me").click()
    expect(heading(page, "Your address is no longer used")).to_be_focused()
    assert anna.http.get("/auth/me").status_code == 401
    page.goto(link)
    page.get_by_role("button", name="It was not me").click()
    expect(heading(page, DEAD)).to_be_focused()


def test_the_button_takes_an_old_address_back_and_opening_the_link_does_not(
    page: Page, anna: Person
) -> None:
    old, new = anna.email, f"new-{anna.email}"
    page.goto(verification(anna))
    confirm(page)
    expect(heading(page, "Your address is confirmed")).to_be_visible()
    change = {"email": new, "current_password": anna.password}
    assert anna.http.put("/auth/email", json=change).status_code == 202
    page.goto(mailed(anna.server, new, "Confirm your new e-mail address"))
    confirm(page)
    expect(heading(page, "Your address is confirmed")).to_be_visible()

    page.goto(mailed(anna.server, old, "Your e-mail address was changed"))
    expect(page).to_have_title("Take your address back")
    assert account(anna)["email"] == new
    page.get_by_role("button", name="Undo the change").click()
    expect(heading(page, "Your address is back")).to_be_focused()
    assert anna.http.get("/auth/me").status_code == 401
    anna.server.mailbox.wait(old, "Choose a new password")


def test_a_password_set_with_the_keyboard_alone_signs_in_and_the_old_one_does_not(
    page: Page, anna: Person, anonymous: httpx.Client
) -> None:
    page.goto(reset(anna))
    expect(page.get_by_label("New password")).to_be_focused()
    page.keyboard.type(NEW_PASSWORD)
    page.keyboard.press("Enter")
    expect(heading(page, "Your new password is set")).to_be_focused()

    anna.server.sign_in(anna.email, NEW_PASSWORD)
    old = anonymous.post("/auth/login", json={"email": anna.email, "password": anna.password})
    assert old.status_code == 401


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "The password must have at least 8 characters."),
        ("password", "one of the most common ones"),
    ],
)
def test_a_refused_password_keeps_the_form_and_says_why(
    page: Page, anna: Person, password: str, reason: str
) -> None:
    page.goto(reset(anna))
    choose(page, password)
    expect(page.get_by_role("alert")).to_contain_text(reason)
    expect(page.get_by_label("New password")).to_be_focused()
    expect(page.get_by_label("New password")).to_have_value(password)

    choose(page, NEW_PASSWORD)
    expect(heading(page, "Your new password is set")).to_be_visible()
    anna.server.sign_in(anna.email, NEW_PASSWORD)


def test_an_invitation_sets_the_first_password(page: Page, server: Server, admin: Person) -> None:
    address = f"invited-{admin.email}"
    assert admin.http.post("/api/users", json={"email": address}).status_code == 201
    page.goto(mailed(server, address, "Your account is ready"))
    password = page.get_by_label("Password", exact=True)
    expect(password).to_be_focused()
    page.get_by_role("checkbox", name="Show it").check()
    expect(password).to_have_attribute("type", "text")
    password.fill("short")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("alert")).to_contain_text("at least 8 characters")
    password.fill(NEW_PASSWORD)
    page.keyboard.press("Enter")
    expect(heading(page, "The account is yours")).to_be_focused()
    assert server.sign_in(address, NEW_PASSWORD).tokens["user"]["email_verified"] is True


def test_a_password_may_be_shown(page: Page, anna: Person) -> None:
    page.goto(reset(anna))
    password = page.get_by_label("New password")
    expect(password).to_have_attribute("autocomplete", "new-password")
    for shown, kind in ((False, "password"), (True, "text"), (False, "password")):
        page.get_by_role("checkbox", name="Show it").set_checked(shown)
        expect(password).to_have_attribute("type", kind)


def test_a_used_confirmation_link_says_that_it_no_longer_works(page: Page, anna: Person) -> None:
    link = verification(anna)
    for outcome in ("Your address is confirmed", DEAD):
        page.goto(link)
        confirm(page)
        expect(heading(page, outcome)).to_be_focused()


def test_a_used_reset_link_says_that_it_no_longer_works(page: Page, anna: Person) -> None:
    link = reset(anna)
    for outcome in ("Your new password is set", DEAD):
        page.goto(link)
        expect(page.get_by_label("New password")).to_have_value("")
        choose(page, NEW_PASSWORD)
        expect(heading(page, outcome)).to_be_focused()
    expect(page.get_by_text("ask for another one")).to_be_visible()


@pytest.mark.parametrize(
    "form", ["verify-email", "dispute-email", "undo-email", "stop-factor-reset"]
)
@pytest.mark.parametrize("length", [43, 101])
def test_a_wrong_link_says_that_it_no_longer_works(page: Page, form: str, length: int) -> None:
    page.goto(f"/#/{form}?token={'x' * length}")
    page.get_by_role("button").click()
    expect(heading(page, DEAD)).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)


@pytest.mark.parametrize("cut", ["", "?token="])
@pytest.mark.parametrize("pasted", [" {token} ", "https://byline.example{link}"])
def test_a_truncated_link_asks_for_the_token_or_the_whole_link(
    page: Page, anna: Person, cut: str, pasted: str
) -> None:
    link = verification(anna)
    page.goto(f"/#/verify-email{cut}")
    field = page.get_by_label("Token from the mail")
    expect(field).to_be_focused()
    field.fill(pasted.format(link=link, token=link.partition("=")[2]))
    confirm(page)
    expect(heading(page, "Your address is confirmed")).to_be_visible()
    assert account(anna)["email_verified"] is True


@each_link
def test_the_token_leaves_the_address_and_is_not_on_the_page(
    page: Page, anna: Person, link: Any
) -> None:
    address, token = link(anna).split("?token=")
    page.goto(f"{address}?token={token}")
    expect(page.get_by_role("button")).to_be_visible()
    assert page.url == anna.server.url + address
    assert token not in page.content()

    page.reload()
    expect(page.get_by_label("Token from the mail")).to_be_visible()


@each_link
def test_a_link_takes_over_the_tab_that_it_is_opened_in_and_gives_it_back(
    page: Page, anna: Person, link: Any
) -> None:
    documentation = page.get_by_role("link", name="Documentation")
    page.goto("/")
    expect(documentation).to_be_visible()
    landing = page.title()

    page.goto(link(anna))
    expect(page.get_by_role("button")).to_be_visible()
    expect(documentation).to_be_hidden()
    page.go_back()
    expect(documentation).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
    assert page.title() == landing


@pytest.mark.parametrize(
    "answer", [None, {"status": 502, "body": "<h1>Bad Gateway"}, {"status": 200, "body": "{}"}]
)
def test_an_answer_of_a_proxy_changes_nothing(
    page: Page, anna: Person, answer: dict[str, Any] | None
) -> None:
    page.goto(verification(anna))
    page.route(
        "**/auth/**", lambda route: route.fulfill(**answer) if answer else route.abort(), times=1
    )
    confirm(page)
    expect(page.get_by_role("alert")).to_have_text(re.compile("no answer.+try again"))
    assert account(anna)["email_verified"] is False

    confirm(page)
    expect(heading(page, "Your address is confirmed")).to_be_visible()


def test_behind_a_proxy_with_a_path_the_request_stays_under_it(page: Page, anna: Person) -> None:
    site = f"{anna.server.url}/some/path"
    page.route(
        f"{site}/**",
        lambda route: route.continue_(url=route.request.url.replace(site, anna.server.url)),
    )
    page.goto(site + verification(anna))
    with page.expect_request(f"{site}/auth/email-verifications/complete"):
        confirm(page)
    expect(heading(page, "Your address is confirmed")).to_be_visible()
    assert page.url == f"{site}/#/verify-email"
