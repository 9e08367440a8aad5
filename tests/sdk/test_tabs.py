"""The TypeScript client in two tabs of a browser, which share a session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.kit.fault_proxy import FaultProxy
from tests.kit.serving import PASSWORD, Person, Server
from tests.sdk.runtimes import Tabs

REFRESH = "/auth/refresh"
# Both keep what they hear in the title of the page, for the test to wait for.
OPEN = """([url, transport]) => {
  const store = transport ? undefined : api.localStorageStore();
  const onAuthChange = (change) => { document.title = change };
  window.client = new api.Byline(url, { store, transport, onAuthChange });
}"""
BEGIN = """() => {
  const whose = () => client.auth.getMe().then(({ id }) => id, (error) => String(error));
  window.result = Promise.all(Array.from({ length: 25 }, whose));
}"""
WHOSE = "client.auth.getMe().then(({ id }) => id, ({ code }) => code)"
pytestmark = pytest.mark.parametrize("server", ["sqlite"], indirect=True)


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    with FaultProxy(server.url) as proxy:
        yield proxy


def opened(tabs: Tabs, url: str, transport: str | None = None) -> Page:
    page = tabs.page(url)
    page.evaluate(OPEN, [url, transport])
    return page


def sign_in(page: Page, person: Person) -> None:
    page.evaluate("([email, password]) => client.signIn(email, password)", [person.email, PASSWORD])


def test_tabs_whose_session_is_in_a_cookie_refresh_it_once(
    tabs: Tabs, proxy: FaultProxy, anna: Person
) -> None:
    first = opened(tabs, proxy.url, "cookie")
    sign_in(first, anna)
    first.close()
    pages = [opened(tabs, proxy.url, "cookie") for _ in range(2)]
    for page in pages:
        page.evaluate(BEGIN)
    assert [page.evaluate("result") for page in pages] == [[anna.id] * 25] * 2
    assert len(proxy.asked("POST", REFRESH)) == 1
    assert {each.bearer for each in proxy.asked("POST", REFRESH)} == {None}


@pytest.mark.parametrize("transport", [None, "cookie"], ids=["storage", "cookie"])
def test_a_tab_hears_of_the_other_that_somebody_signs_in_and_out(
    transport: Any, tabs: Tabs, proxy: FaultProxy, anna: Person
) -> None:
    here, there = (opened(tabs, proxy.url, transport) for _ in range(2))
    sign_in(here, anna)
    expect(there).to_have_title("signed-in")
    assert there.evaluate(WHOSE) == anna.id
    there.evaluate("client.signOut()")
    expect(here).to_have_title("signed-out")
    assert here.evaluate(WHOSE) == "authentication-required"
    assert anna.http.get("/auth/me").status_code == 200  # in a session of its own
