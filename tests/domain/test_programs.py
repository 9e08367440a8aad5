"""The program that a mail names: known words of its `User-Agent`, never its text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.domain.programs import described

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


AGENTS = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0": "Firefox on Linux",
    f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/142.0.0 Safari/537.36": "Chrome on Windows",
    f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/142.0 Safari/537.36 Edg/142": "Edge on Windows",
    f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/142.0 Mobile": "Chrome on Android",
    f"Mozilla/5.0 (iPhone; iPhone OS 18_6 like Mac OS X) {WEBKIT} Safari/604.1": "Safari on iPhone",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Safari/605": "Safari on macOS",
    "python-httpx/0.28.1": "python-httpx",
    "curl/8.14.1": "curl",
    "okhttp": "okhttp",
    "": "an unknown program",
    "Mozilla/5.0": "an unknown program",
    "evil.example/call-us": "an unknown program",
    "Call 0800 123 to save your account": "an unknown program",
}


@pytest.mark.parametrize(("agent", "name"), AGENTS.items())
def test_a_program_has_the_name_that_people_know(agent: str, name: str) -> None:
    assert described(agent) == name


@given(st.text())
@example("https://evil.example")
def test_no_text_of_strangers_gets_through(agent: str) -> None:
    name = described(agent)
    assert name.replace(" ", "").replace("-", "").isalpha()
    assert len(name) <= 40
