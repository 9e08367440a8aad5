"""A real browser: what it complains of, or asks of anybody but the server, fails the test."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    expect,
)

from tests.kit.artefacts import keep
from tests.kit.chromium import chromium
from tests.kit.serving import Server, serving

PATIENCE = 60_000  # milliseconds: the machine may be busy with other tests

expect.set_options(timeout=PATIENCE)


def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """A test that fails leaves a picture of what was in the browser."""
    browser = getattr(node, "funcargs", {}).get("browser")
    name = re.sub(r"\W+", "-", f"failed-{node.name}")[:100]
    for context in browser.contexts if browser else ():
        for page in context.pages:
            with suppress(Error):  # a browser that is gone must not hide why
                keep(page, name)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """On SQLite alone: which database answers is not to be seen in a browser."""
    with serving(tmp_path_factory.mktemp("browser")) as running:
        yield running


# Of a module, for meanwhile no other test can run an event loop of its own in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def window(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    """The window of most tabs: a new one costs half a second."""
    with browser.new_context(base_url=server.url) as context:
        yield context


@pytest.fixture
def page(window: BrowserContext, server: Server) -> Iterator[Page]:
    """An empty tab, whose addresses are the server's. What it keeps in the window goes with it."""
    with _heard(window.new_page(), server) as tab:
        yield tab
        if tab.url.startswith("http"):
            tab.evaluate("localStorage.clear()")
        window.clear_cookies()


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a tab in a window of its own: `open_tab(server, color_scheme="dark")`."""
    with ExitStack() as stack:

        def _open(server: Server, **options: Any) -> Page:
            context = browser.new_context(base_url=server.url, **options)
            return stack.enter_context(_heard(stack.enter_context(context).new_page(), server))

        yield _open


@contextmanager
def _heard(page: Page, server: Server) -> Iterator[Page]:
    complaints: list[str] = []

    def watch(request: Request) -> None:
        if not request.url.startswith(server.url + "/"):
            complaints.append(request.url)

    page.on("console", lambda message: complaints.extend(_complaint(message)))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", watch)
    yield page
    page.close()
    assert complaints == []


def _complaint(message: ConsoleMessage) -> list[str]:
    # An answer of the API that is a refusal is the page's to show, and part of a test.
    path = urlsplit(message.location["url"]).path.removeprefix("/byline")  # of a proxy
    is_of_api = path.startswith(("/api/", "/auth/"))
    if message.type == "verbose" or ("Failed to load resource" in message.text and is_of_api):
        return []
    return [message.text]
