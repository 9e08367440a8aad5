"""The pages in a real browser: they render, from this server alone, under their strict policy, and
people can read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.kit.artefacts import keep
from tests.kit.legibility import DESK, PHONE, focused_by_tab, unreadable
from tests.kit.serving import Person, Server
from tests.kit.swagger import Docs

Open = Callable[..., Page]

each_look = pytest.mark.parametrize(
    ("name", "look"),
    [
        pytest.param("light", {"color_scheme": "light", "viewport": DESK}, id="light"),
        pytest.param("dark-phone", {"color_scheme": "dark", "viewport": PHONE}, id="dark-phone"),
    ],
)


@each_look
def test_swagger_ui_shows_every_tag_and_can_be_read(
    open_tab: Open, server: Server, anna: Person, name: str, look: dict[str, Any]
) -> None:
    page = open_tab(server, reduced_motion="reduce", **look)
    docs = Docs(page)
    for operation in ("Create your own account", "Sign in", "List posts", "/api/search"):
        expect(page.locator("#swagger-ui")).to_contain_text(operation)
    keep(page, f"docs-{name}")
    docs.open_dialog()
    assert unreadable(page) == []
    docs.close_dialog()

    docs.authorize("accessToken", anna.tokens["access_token"])
    assert docs.try_out("posts/create_post").status == 201
    assert unreadable(page) == []
    keep(page, f"docs-tried-{name}")


def test_swagger_ui_shows_where_the_keyboard_is(open_tab: Open, server: Server) -> None:
    page = open_tab(server, color_scheme="dark")
    Docs(page)
    expect(page.locator("#swagger-ui")).to_contain_text("List posts")
    start = [focused_by_tab(page) for _ in range(5)]
    skip, *others = [text for text, _ in start]
    assert (skip, others) == (
        "Skip to the operations",
        ["Home", "openapi.yaml", "auth", "register"],
    )
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#swagger-ui")).to_be_focused()
    reached = dict([*start, *(focused_by_tab(page) for _ in range(9))])
    assert {"Authorize", "Filter by tag or path"} <= reached.keys()
    assert any(text.startswith("POST") for text in reached)
    assert [text for text, is_shown in reached.items() if not is_shown] == []


@each_look
def test_the_landing_page_can_be_read_and_used_by_keyboard(
    open_tab: Open, server: Server, name: str, look: dict[str, Any]
) -> None:
    page = open_tab(server, **look)
    page.goto("/")
    keep(page, f"home-{name}")
    assert unreadable(page) == []
    links = page.get_by_role("link").all_inner_texts()
    reached = [focused_by_tab(page) for _ in links]
    assert reached == [(text, True) for text in links]

    sizes = page.evaluate("""() => [...document.querySelectorAll('main:not([hidden]) *')]
      .filter((element) => !element.closest('pre, noscript'))
      .map((element) => parseFloat(getComputedStyle(element).fontSize))""")
    assert min(sizes) >= 16
    moving = page.evaluate("""() => [...document.querySelectorAll('*')].map(getComputedStyle)
      .filter(({ animationName, transitionDuration }) =>
        animationName !== 'none' || transitionDuration !== '0s').length""")
    assert moving == 0, "what moves has to ask for prefers-reduced-motion first"


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
