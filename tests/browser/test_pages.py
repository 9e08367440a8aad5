"""The pages in a real browser: they render, from this server alone, under their strict policy."""

import os
import shutil
import subprocess

import pytest

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--enable-logging=stderr",
    "--virtual-time-budget=20000",
    "--dump-dom",
]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser; without it the test is skipped, unless REQUIRE asks for it."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None and "chromium" not in os.environ.get("REQUIRE", ""):
        pytest.skip("chromium is not installed")
    assert found, "REQUIRE names chromium, but it is not installed"
    return found


@pytest.fixture
def render(chromium, server, tmp_path):
    """Renders a page; gives its DOM as text and what the browser had to complain of."""

    def _render(path: str) -> tuple[str, list[str]]:
        run = subprocess.run(
            [chromium, *FLAGS, f"--user-data-dir={tmp_path}", server.url + path],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return run.stdout, [line for line in run.stderr.splitlines() if ":CONSOLE" in line]

    return _render


def test_swagger_ui_shows_every_tag_and_the_console_stays_silent(render):
    dom, complaints = render("/docs")

    for operation in ("Create your own account", "Sign in", "List posts", "/api/search"):
        assert operation in dom
    assert complaints == []


def test_the_landing_page_links_to_the_docs_and_the_console_stays_silent(render):
    dom, complaints = render("/")

    assert 'href="docs"' in dom
    assert complaints == []
