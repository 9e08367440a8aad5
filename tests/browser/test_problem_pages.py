"""The pages that explain the problems, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.kit.artefacts import keep
from tests.kit.legibility import DESK, PHONE, unreadable
from tests.kit.serving import Server
from tests.kit.swagger import Docs


@pytest.mark.parametrize(
    "look",
    [
        {"color_scheme": "light", "viewport": DESK},
        {"color_scheme": "dark", "viewport": PHONE},
    ],
    ids=["light", "dark-phone"],
)
def test_the_pages_can_be_read(
    open_tab: Callable[..., Page], server: Server, look: dict[str, Any]
) -> None:
    page = open_tab(server, **look)
    for path in ("problems", "problems/email-unverified", "problems/invalid-request"):
        page.goto(f"/{path}")
        keep(page, f"{path.replace('/', '-')}-{look['color_scheme']}")
        assert unreadable(page) == []


def test_a_code_on_the_page_of_the_documentation_leads_to_its_explanation_and_back(
    page: Page,
) -> None:
    docs = Docs(page)
    block = docs.operation("auth/register")
    block.locator(".opblock-summary-control").click()
    block.locator(".errors > summary").click()
    with page.expect_popup() as opened:
        block.get_by_role("link", name="username-taken").click()
    explained = opened.value
    expect(explained.get_by_role("heading", level=1)).to_have_text("The user name is taken")
    explained.get_by_role("link", name="update_user").click()
    expect(explained).to_have_url(re.compile("/docs#/users/update_user$"))
    shown = explained.locator("#operations-users-update_user .opblock-body")
    expect(shown).to_be_visible()
    explained.close()
