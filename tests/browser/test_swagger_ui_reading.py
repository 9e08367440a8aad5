"""What people read on the page of the documentation, before they try anything."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from service.specification import specification
from tests.browser.conftest import PATIENCE
from tests.kit.artefacts import keep
from tests.kit.legibility import DESK, PHONE, unreadable
from tests.kit.serving import Server
from tests.kit.swagger import Docs

# Keeps in `window.noted` what an element says, be it for a moment that a busy machine looks away.
NOTE = """element => {
  window.noted = []
  const note = () => window.noted.push(element.textContent)
  new MutationObserver(note).observe(element, {childList: true, characterData: true, subtree: true})
}"""
MAX_HEIGHT = 1600  # pixels of an opened operation on a desk
LINES = "\n".join(f"line {number} of a sample" for number in range(20))  # a long one is scrolled
SAMPLES = [
    {"lang": "Shell", "label": "curl", "source": LINES},
    {"lang": "Python", "label": "Python", "source": "byline.posts.create(title='A <title>')"},
    {"lang": "JavaScript", "label": "TypeScript", "source": "await byline.posts.create({})"},
]


def at_length(route: Route) -> None:
    """The document of a service with limits, which descriptions say, and with long samples."""
    document = json.loads(specification.public_json())
    for item in document["paths"].values():
        for operation in item.values():
            operation["x-codeSamples"] = SAMPLES
    route.fulfill(json=document)


def opened(route: Route) -> None:
    """Open every operation at once: one by one, each would cost a second."""
    answer = route.fetch()
    text = answer.text()
    assert "docExpansion: 'list'" in text
    route.fulfill(
        response=answer, body=text.replace("docExpansion: 'list'", "docExpansion: 'full'")
    )


@pytest.fixture(scope="module")
def everything(browser: Browser, server: Server) -> Iterator[Page]:
    """The page with all operations open."""
    with browser.new_context(
        base_url=server.url, viewport=DESK, reduced_motion="reduce"
    ) as context:
        page = context.new_page()
        page.route("**/docs/init.js", opened)
        page.route("**/openapi.json", at_length)
        page.goto("/docs")
        paths = server.client().get("/openapi.json").json()["paths"].values()
        expect(page.locator(".opblock .responses-table")).to_have_count(sum(map(len, paths)))
        yield page


def blocks(page: Page, what: str) -> dict[str, Any]:
    """The value of a JavaScript expression on each operation's `block`, by operationId."""
    return page.evaluate(f"""() => Object.fromEntries(
      [...document.querySelectorAll('.opblock')].map((block) => [
        block.querySelector('.opblock-summary-operation-id').textContent, {what}]))""")


def test_every_operation_fits_on_two_screens_when_it_is_opened(
    everything: Page, server: Server
) -> None:
    paths = server.client().get("/openapi.json").json()["paths"].values()
    heights = blocks(everything, "block.getBoundingClientRect().height")
    assert heights.keys() == {one["operationId"] for item in paths for one in item.values()}
    assert {name: height for name, height in heights.items() if height > MAX_HEIGHT} == {}


def test_errors_are_folded_and_each_leads_to_its_explanation(everything: Page) -> None:
    shown = blocks(everything, "block.querySelectorAll('[data-code^=\"4\"]')[0]?.checkVisibility()")
    assert set(shown.values()) <= {False, None}
    folded = everything.locator("#operations-posts-update_post .errors")
    expect(folded.locator("summary").first).to_contain_text("400 401 403 404")
    folded.locator("summary").first.click()
    row = folded.locator('[data-code="412"]')
    expect(row.get_by_role("link", name="precondition-failed")).to_have_attribute(
        "href", "problems/precondition-failed"
    )
    row.get_by_text("Example").click()
    expect(row.locator("pre")).to_contain_text('"status": 412')
    folded.locator("summary").first.click()


def test_code_samples_are_tabs_that_the_keyboard_reaches(everything: Page) -> None:
    everything.context.grant_permissions(["clipboard-read", "clipboard-write"])
    samples = everything.locator("#operations-posts-create_post .samples")
    tabs, panel = samples.get_by_role("tab"), samples.get_by_role("tabpanel")
    assert tabs.all_inner_texts() == ["curl", "Python", "TypeScript"]
    expect(panel).to_have_text(LINES)
    tabs.first.focus()
    everything.keyboard.press("ArrowRight")
    expect(tabs.nth(1)).to_be_focused()
    expect(tabs.nth(1)).to_have_attribute("aria-selected", "true")
    expect(panel).to_have_text("byline.posts.create(title='A <title>')")
    everything.keyboard.press("Tab")
    expect(samples.get_by_role("button", name="Copy")).to_be_focused()
    samples.get_by_role("status").evaluate(NOTE)
    everything.keyboard.press("Enter")
    everything.wait_for_function("window.noted.includes('Copied')", timeout=PATIENCE)
    copied = everything.evaluate("navigator.clipboard.readText()")
    assert copied == "byline.posts.create(title='A <title>')"
    # The language is that of all operations, and of the next visit.
    other = everything.locator("#operations-posts-get_post .samples")
    expect(other.get_by_role("tab", selected=True)).to_have_text("Python")
    assert everything.evaluate("localStorage.getItem('docs-language')") == "Python"


def test_what_applies_to_everything_is_folded_and_schemas_have_an_order(page: Page) -> None:
    docs = Docs(page)
    common = page.locator(".common")
    expect(common.locator("summary")).to_contain_text("Input, Errors, Request id, Rate limits")
    expect(common.get_by_text("Bodies are JSON in UTF-8")).to_be_hidden()
    first = docs.operation("auth/register").bounding_box()
    assert first
    assert first["y"] < DESK["height"]

    page.locator("#contents").get_by_role("link", name="Schemas").click()
    expect(page.locator(".model-container").first).to_be_visible()
    names = page.locator(".model-container").evaluate_all("all => all.map((e) => e.dataset.name)")
    assert names[:3] == ["Account", "AddedPasskey", "AuditEvent"]
    assert names.index("UserChanges") < names.index("AuditAction")  # an object and a choice


def test_the_contents_lead_to_an_operation_and_open_it(
    open_tab: Callable[..., Page], server: Server
) -> None:
    page = open_tab(server, viewport=PHONE, color_scheme="dark", reduced_motion="reduce")
    docs = Docs(page)
    contents = page.locator("#contents")
    link = contents.get_by_role("link", name="get_post", exact=True)
    expect(link).to_be_hidden()
    contents.locator("summary").click()
    link.click()
    expect(link).to_be_hidden()
    block = docs.operation("posts/get_post")
    expect(block.locator(".responses-table").first).to_be_visible()
    expect(block.locator(".opblock-summary-control")).to_be_focused()
    expect(page).to_have_url(f"{server.url}/docs#/posts/get_post")
    block.locator(".errors > summary").click()
    assert unreadable(page) == []
    keep(page, "docs-errors-phone")
    expect(block.locator(".errors > summary")).to_be_in_viewport()


def test_the_samples_are_those_of_the_document(page: Page) -> None:
    docs = Docs(page)
    block = docs.operation("posts/create_post")
    block.locator(".opblock-summary-control").click()
    calls = {
        "curl": "curl -X POST",
        "Python": "byline.posts.create(title=",
        "TypeScript": "await byline.posts.create({",
    }
    for language, call in calls.items():
        samples = block.locator(".samples")
        samples.get_by_role("tab", name=language).click()
        expect(samples.get_by_role("tabpanel")).to_contain_text(call)


def test_an_answer_leads_to_what_can_be_called_next(page: Page) -> None:
    docs = Docs(page)
    block = docs.operation("posts/create_post")
    block.locator(".opblock-summary-control").click()
    block.get_by_role("link", name="update_post").click()
    opened = docs.operation("posts/update_post").locator(".opblock-summary-control")
    expect(opened).to_be_focused()
    expect(opened).to_be_in_viewport()
    expect(page).to_have_url(re.compile("#/posts/update_post$"))
