"""A real browser: what it complains of, or asks of anybody but the server, fails the test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.conftest import Server
from tests.programs import program

PATIENCE = 30_000  # milliseconds: the machine may be busy with other tests

expect.set_options(timeout=PATIENCE)


# Of a module, for meanwhile no other test can run an event loop of its own in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; without it the test is skipped, unless REQUIRE asks for it."""
    found = shutil.which("chromium-browser") or program("chromium")
    nowhere_else = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=[nowhere_else])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """An empty tab, whose addresses are the server's."""
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # An answer of the API that is a refusal is the page's to show, and part of a test.
        refusal = "Failed to load resource" in message.text and "/auth/" in message.location["url"]
        if message.type != "verbose" and not refusal:
            complaints.append(message.text)

    def watch(request: Request) -> None:
        if not request.url.startswith(server.url + "/"):
            complaints.append(request.url)

    context = browser.new_context(base_url=server.url)
    context.on("console", hear)
    context.on("weberror", lambda crash: complaints.append(str(crash.error)))
    context.on("request", watch)
    yield context.new_page()
    context.close()
    assert complaints == []
