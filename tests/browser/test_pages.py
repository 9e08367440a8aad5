"""The pages in a real browser: they render, from this server alone, under their strict policy."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.conftest import Server


def test_swagger_ui_shows_every_tag_and_the_console_stays_silent(page: Page) -> None:
    page.goto("/docs")
    for operation in ("Create your own account", "Sign in", "List posts", "/api/search"):
        expect(page.locator("#swagger-ui")).to_contain_text(operation)


def test_the_landing_page_links_to_the_docs_and_the_console_stays_silent(
    page: Page, server: Server
) -> None:
    page.goto("/")
    expect(page.get_by_role("code")).to_contain_text(f"api={server.url}\n")
    expect(page.get_by_role("heading", level=1)).to_have_text("Byline")
    page.get_by_role("link", name="Documentation").click()
    expect(page).to_have_url(f"{server.url}/docs")
    expect(page.locator("#swagger-ui")).to_contain_text("List posts")


def test_without_javascript_the_landing_page_says_what_needs_it(
    browser: Browser, server: Server
) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{server.url}/#/verify-email?token=any")
        expect(page.locator("noscript p")).to_be_visible()
        expect(page.get_by_role("link", name="Documentation")).to_be_visible()
