"""The TypeScript client in two tabs of a browser, which share a session in `localStorage`."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.kit.serving import PASSWORD, Person, Server
from tests.sdk.runtimes import Tabs

# The title of a page is what it has heard last, for the test to wait for.
OPEN = """(url) => {
  const onAuthChange = (change) => { document.title = change };
  window.client = new api.Byline(url, { store: api.localStorageStore(), onAuthChange });
}"""
WHOSE = "client.auth.getMe().then(({ id }) => id, ({ code }) => code)"


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_a_tab_hears_of_the_other_that_somebody_signs_in_and_out(
    tabs: Tabs, server: Server, anna: Person
) -> None:
    here, there = (tabs.page(server.url) for _ in range(2))
    for page in (here, there):
        page.evaluate(OPEN, server.url)
    here.evaluate("([email, password]) => client.signIn(email, password)", [anna.email, PASSWORD])
    expect(there).to_have_title("signed-in")
    assert there.evaluate(WHOSE) == anna.id
    there.evaluate("client.signOut()")
    expect(here).to_have_title("signed-out")
    assert here.evaluate(WHOSE) == "authentication-required"
    assert anna.http.get("/auth/me").status_code == 200  # in a session of its own
