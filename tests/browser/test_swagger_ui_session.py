"""On the page of the documentation, people stay signed in, and see who they are."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.kit.artefacts import keep
from tests.kit.serving import Person, Server
from tests.kit.smtp import until
from tests.kit.swagger import Docs

Open = Callable[..., Page]


def sign_in(docs: Docs, person: Person) -> None:
    """Sign in as the page offers it: with the cookie."""
    block = docs.operation("auth/login")
    block.locator(".opblock-summary-control").click()
    text = block.locator("textarea")
    expect(text).to_have_value(
        '{\n  "email": "anna@example.com",\n  "password": "correct horse '
        'battery staple",\n  "transport": "cookie"\n}'
    )
    text.fill(text.input_value().replace("anna@example.com", person.email))
    block.locator(".btn.execute").click()
    expect(docs.page.locator("#session")).to_contain_text(f"Signed in as {person.email}")


def test_somebody_who_signs_in_stays_signed_in_over_a_reload_until_they_sign_out(
    page: Page, anna: Person
) -> None:
    docs = Docs(page)
    bar = page.locator("#session")
    expect(bar).to_have_text("Try login to sign in to this page.", use_inner_text=True)
    sign_in(docs, anna)
    keep(page, "docs-signed-in")
    assert docs.authorized() == {"accessToken"}
    # Whose session it is and since when, and nothing that is secret.
    kept = page.evaluate("JSON.stringify(localStorage)")
    assert re.fullmatch(f'{{"docs-session":"{anna.id} [0-9]+"}}', kept)

    docs = Docs(page)
    expect(bar).to_contain_text(f"Signed in as {anna.email}")
    me = docs.try_out("auth/get_me")
    assert (me.status, me.body["email"]) == (200, anna.email)

    other = page.context.new_page()
    other.goto("/docs")
    expect(other.locator("#session")).to_contain_text(anna.email)
    bar.get_by_role("button", name="Sign out").click()
    for tab in (page, other):
        expect(tab.locator("#session")).to_contain_text("Try login")
    other.close()
    Docs(page)
    expect(bar).to_contain_text("Try login")
    assert docs.authorized() == set()


def test_a_token_that_expires_is_renewed_before_it_is_sent(
    open_tab: Open, serve: Callable[..., Server]
) -> None:
    # Each token has less left than the page wants, so that every call renews it.
    brief = serve(access_token_ttl=20)
    person = brief.sign_up()
    page = open_tab(brief)
    docs = Docs(page)
    renewals: list[str] = []
    page.on("request", lambda sent: renewals.extend([sent.url] if "refresh" in sent.url else []))
    sign_in(docs, person)
    for number in (1, 2):
        assert docs.try_out("auth/get_me").status == 200
        assert len(renewals) == number


def test_a_token_that_has_expired_after_all_is_renewed_and_the_call_repeated(
    open_tab: Open, serve: Callable[..., Server]
) -> None:
    brief = serve(access_token_ttl=5)  # time enough for a busy browser to use a new one
    tokens = brief.sign_up().tokens
    with brief.client(tokens["access_token"]) as client:
        until(lambda: client.get("/auth/me").status_code != 200)
    docs = Docs(open_tab(brief))
    # The page does not know when these expire, as if its clock were wrong.
    docs.authorize("accessToken", tokens["access_token"])
    docs.authorize("refreshToken", tokens["refresh_token"])
    docs.try_out("auth/get_me")
    table = docs.operation("auth/get_me").locator(".live-responses-table")
    expect(table.locator("tbody .response-col_status")).to_have_text("200")
    expect(table).to_contain_text(tokens["user"]["email"])


def test_a_session_that_has_ended_is_no_longer_shown(
    page: Page, server: Server, anna: Person
) -> None:
    docs = Docs(page)
    token = server.sign_in(anna.email)
    docs.authorize("accessToken", token.tokens["access_token"])
    bar = page.locator("#session")
    expect(bar).to_contain_text(f"Signed in as {anna.email}")
    assert token.http.post("/auth/logout").status_code == 204
    refused = docs.try_out("auth/get_me")
    assert (refused.status, refused.body["code"]) == (401, "session-revoked")
    expect(bar).to_contain_text("Try login")
    assert docs.authorized() == set()
