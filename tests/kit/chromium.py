"""A real browser, which can reach this machine only."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.kit.programs import program

# In order of preference: the build without windows, then Chromium by the name that Ubuntu gives it.
_NAMES = ("chromium-headless-shell", "chromium-browser")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium; without it the test is skipped, unless REQUIRE asks for it. Meanwhile no other test
    can run an event loop of its own in this thread."""
    found = next(filter(None, map(shutil.which, _NAMES)), None) or program("chromium")
    nowhere_else = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[nowhere_else])
        yield browser
        browser.close()
