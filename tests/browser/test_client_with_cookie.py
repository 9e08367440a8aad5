"""The TypeScript client in pages that share a session by the cookie of the refresh token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request

from openapi.sdk.packages import FACADE
from tests.kit.foreign_pages import foreign_pages
from tests.kit.generated_clients import generated
from tests.kit.serving import PASSWORD, Person, Server, serving

PAGE = f"""<!doctype html>
<script type="module">
import {{ {FACADE} }} from '/client/index.js';
window.changes = [];
const onAuthChange = (change) => window.changes.push(change);
window.client = new {FACADE}('', {{ transport: 'cookie', onAuthChange }});
</script>
"""
# All headers that the client reads and sends.
EVERYTHING = """async () => {
  const post = await client.posts.create({ title: 'One', content: 'Words.' });
  await client.posts.create({ title: 'Two', content: 'Words.' });
  await client.posts.update(post, { title: 'Three' });
  const stale = await client.posts.update(post, { title: 'Four' }).catch((error) => error);
  const posts = await client.posts.list({ author_id: post.author.id, limit: 1 }).toArray();
  const { requestId } = await client.users.get('nobody').catch((error) => error);
  return [stale.name, posts.map(({ title }) => title), requestId.length > 9];
}"""
# A page that a route answers is no local one to chromium, and may not ask a local service.
ABROAD = f"""(url) => import('/client/index.js').then(({{ {FACADE} }}) => {{
  window.client = new {FACADE}(url, {{ transport: 'cookie' }});
}})"""
SIGN_IN = "([email, password]) => client.signIn(email, password).then(({ user }) => user.id)"
WHO = "() => client.auth.getMe().then(({ id }) => id, (error) => error.name)"
MANY = "() => Promise.all(Array.from({ length: 25 }, () => client.auth.getMe()))"


@pytest.fixture
def window(
    browser: Browser, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    module = generated(tmp_path_factory) / "clients" / "typescript" / "dist" / "index.js"
    with browser.new_context(base_url=server.url) as context:
        context.route("**/app", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
        script = module.read_text()
        context.route(
            "**/client/index.js",
            lambda route: route.fulfill(body=script, content_type="text/javascript"),
        )
        yield context


def tab(window: BrowserContext) -> Page:
    page = window.new_page()
    page.goto("/app")
    page.wait_for_function("() => Boolean(window.client)")
    return page


def sign_in(page: Page, person: Person) -> None:
    assert page.evaluate(SIGN_IN, [person.email, PASSWORD]) == person.id


def refreshes(window: BrowserContext) -> list[Request]:
    """Those that any page sends from now on."""
    found: list[Request] = []

    def note(request: Request) -> None:
        if request.url.endswith("/auth/refresh"):
            found.append(request)

    window.on("request", note)
    return found


def test_a_session_survives_a_reload_and_no_script_can_read_it(
    window: BrowserContext, anna: Person
) -> None:
    page = tab(window)
    sign_in(page, anna)
    page.reload()
    page.wait_for_function("() => Boolean(window.client)")
    assert page.evaluate(WHO) == anna.id
    kept = "() => document.cookie + JSON.stringify([localStorage, sessionStorage])"
    assert page.evaluate(kept) == "[{},{}]"
    assert page.evaluate("() => JSON.stringify(client)").count("eyJ") == 0


def test_two_tabs_take_turns_and_stay_signed_in(window: BrowserContext, anna: Person) -> None:
    sign_in(tab(window), anna)
    pages = [tab(window), tab(window)]
    sent = refreshes(window)
    for page in pages:
        page.evaluate(f"() => {{ window.result = ({MANY})() }}")
    for page in pages:
        assert {each["id"] for each in page.evaluate("window.result")} == {anna.id}
    # A tab that had to wait may not have heard yet what the other has got.
    assert 1 <= len(sent) <= 2


def test_tabs_hear_of_the_end_of_a_session_and_of_another_user(
    window: BrowserContext, anna: Person, ben: Person
) -> None:
    one, other = tab(window), tab(window)
    sign_in(one, anna)
    other.wait_for_function("() => changes.at(-1) === 'signed-in'")
    assert other.evaluate(WHO) == anna.id
    sign_in(other, ben)
    one.wait_for_function("() => changes.join() === 'signed-in,signed-in'")
    assert one.evaluate(WHO) == ben.id
    one.evaluate("() => client.signOut()")
    other.wait_for_function("() => changes.at(-1) === 'signed-out'")
    for page in (one, other):
        assert page.evaluate(WHO) == "AuthenticationRequired"


def test_a_page_that_comes_back_goes_on(window: BrowserContext, anna: Person) -> None:
    page = tab(window)
    sign_in(page, anna)
    page.goto("/docs")
    page.go_back()
    page.wait_for_function("() => Boolean(window.client)")
    assert page.evaluate(WHO) == anna.id


def test_a_call_that_the_browser_has_cut_off_is_made_again(
    window: BrowserContext, anna: Person
) -> None:
    page = tab(window)
    sign_in(page, anna)
    cut: list[Any] = []

    def cut_once(route: Any) -> None:
        if cut:
            route.continue_()
        else:
            cut.append(route.abort("connectionreset"))

    page.route("**/auth/me", cut_once)
    assert page.evaluate(WHO) == anna.id
    assert len(cut) == 1


def test_a_page_of_a_listed_origin_has_all_of_it(window: BrowserContext, tmp_path: Path) -> None:
    with foreign_pages() as port, serving(tmp_path, cors_origins=origin(port)) as server:
        anna, page = server.sign_up(), window.new_page()
        for visit in ("first", "next"):
            page.goto(origin(port))
            page.evaluate(ABROAD, server.url)
            if visit == "first":
                sign_in(page, anna)
        assert page.evaluate(EVERYTHING) == ["PreconditionFailed", ["Two", "Three"], True]
        page.evaluate("() => client.signOut()")
        assert page.evaluate(WHO) == "AuthenticationRequired"


def origin(port: int) -> str:
    return f"http://127.0.0.1:{port}"
