"""On the page of the documentation, a session with which something goes wrong.

Somebody else signs in in another tab, and answers and tabs fail the page.
"""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, Response, Route, expect

from tests.browser.test_swagger_ui_session import sign_in
from tests.kit.personal_tokens import expire, give
from tests.kit.serving import PASSWORD, Person, Server
from tests.kit.swagger import Docs

# From here on, the page takes its token to be about to expire.
LATER = "() => { const now = Date.now; Date.now = () => now() + 14.8 * 60_000 }"
# As on a page of ours that knows nothing of this one's mark.
SIGN_IN = """(body) => fetch('auth/login', {method: 'POST', body: JSON.stringify(body),
  headers: {'Content-Type': 'application/json'}}).then((answer) => answer.text())"""


def sent_by(page: Page) -> list[tuple[str, int]]:
    """The operations that the page asks for, from now on, and their statuses, as they come."""
    sent: list[tuple[str, int]] = []

    def note(answer: Response) -> None:
        if answer.request.resource_type == "fetch":
            sent.append((answer.url.rsplit("/", 1)[-1], answer.status))

    page.on("response", note)
    return sent


def refuse(status: int, code: str) -> Callable[[Route], None]:
    problem = f'{{"status": {status}, "code": "{code}", "title": "No", "type": "about:blank"}}'
    kind = "application/problem+json"
    return lambda route: route.fulfill(status=status, content_type=kind, body=problem)


def second_tab(page: Page, person: Person) -> Docs:
    """Another tab, in the session of somebody who has signed in on the page."""
    sign_in(Docs(page), person)
    docs = Docs(page.context.new_page())
    expect(docs.page.locator("#session")).to_contain_text(person.email)
    return docs


def execute(docs: Docs, name: str) -> None:
    block = docs.operation(name)
    block.locator(".opblock-summary-control").click()
    block.locator(".btn.execute").click()


def expect_success(docs: Docs, name: str) -> None:
    table = docs.operation(name).locator(".live-responses-table")
    expect(table.locator("tbody .response-col_status")).to_have_text("200")


def test_a_tab_becomes_that_of_whoever_signs_in_in_another(
    page: Page, anna: Person, ben: Person
) -> None:
    docs = second_tab(page, anna)
    other = docs.page
    sign_in(docs, ben)
    expect(page.locator("#session")).to_contain_text(ben.email)
    other.close()


def test_what_is_executed_in_the_name_of_one_user_is_not_done_in_that_of_another(
    page: Page, anna: Person, ben: Person
) -> None:
    docs = Docs(page)
    sign_in(docs, anna)
    other = page.context.new_page()
    other.goto("/account")
    other.evaluate(SIGN_IN, {"email": ben.email, "password": PASSWORD, "transport": "cookie"})
    other.close()
    sent = sent_by(page)
    page.evaluate(LATER)
    block = docs.operation("posts/create_post")
    block.locator(".opblock-summary-control").click()
    # Swagger UI complains, at a reload, of the address that it gave the block itself.
    page.evaluate("history.replaceState(null, '', location.pathname)")
    block.locator(".btn.execute").click()
    expect(page.locator("#session")).to_contain_text(ben.email)
    assert "posts" not in dict(sent)


def test_a_sign_out_that_fails_is_told_and_can_be_tried_again(page: Page, anna: Person) -> None:
    sign_in(Docs(page), anna)
    bar = page.locator("#session")
    button = bar.get_by_role("button", name="Sign out")
    page.route("**/auth/logout", refuse(503, "overloaded"))
    button.click()
    expect(bar.get_by_role("alert")).to_contain_text("You are still signed in")
    page.unroute("**/auth/logout")
    button.click()
    expect(bar).to_contain_text("Try login")
    Docs(page)
    expect(bar).to_contain_text("Try login")


def test_to_sign_out_leaves_somebody_else_signed_in_in_another_tab(
    page: Page, anna: Person, ben: Person
) -> None:
    docs = second_tab(page, anna)
    other = docs.page
    page.route("**/auth/refresh", refuse(503, "overloaded"))  # so that it stays that of Anna
    sign_in(docs, ben)
    page.locator("#session").get_by_role("button", name="Sign out").click()
    expect(page.locator("#session")).to_contain_text("Try login")
    Docs(other)
    expect(other.locator("#session")).to_contain_text(ben.email)
    other.close()


def test_a_personal_token_that_has_expired_is_not_remedied_by_the_session(
    page: Page, server: Server, anna: Person
) -> None:
    docs = Docs(page)
    sign_in(docs, anna)
    token = give(anna)
    expire(server, token)
    docs.authorize("personalToken", token)
    sent = sent_by(page)
    refused = docs.try_out("posts/create_post")
    assert (refused.status, refused.body["code"]) == (401, "token-expired")
    docs.try_out("posts/list_posts")  # which takes longer than a repetition would
    assert [status for name, status in sent if name == "posts"] == [401]
    assert "refresh" not in dict(sent)


def test_a_call_is_repeated_once(page: Page, anna: Person) -> None:
    docs = Docs(page)
    sign_in(docs, anna)
    page.route("**/api/posts", refuse(401, "token-expired"))
    sent = sent_by(page)
    assert docs.try_out("posts/create_post").status == 401
    docs.try_out("posts/list_posts", limit="1")  # which takes longer than a repetition would
    assert [status for name, status in sent if name == "posts"] == [401, 401]


def test_a_renewal_that_is_lost_leaves_a_token_that_is_still_good_in_use(
    page: Page, anna: Person
) -> None:
    docs = Docs(page)
    sign_in(docs, anna)
    page.evaluate(LATER)
    page.route("**/auth/refresh", lambda route: route.abort())
    execute(docs, "auth/get_me")
    expect_success(docs, "auth/get_me")


def test_a_tab_that_keeps_its_turn_is_passed_over(page: Page, anna: Person) -> None:
    page.add_init_script(
        """const timeout = AbortSignal.timeout.bind(AbortSignal)
        AbortSignal.timeout = (ms) => timeout(ms / 5)"""
    )
    docs = Docs(page)
    sign_in(docs, anna)
    other = page.context.new_page()
    other.goto("/problems")
    other.evaluate("void navigator.locks.request('refresh', () => new Promise(() => {}))")
    page.evaluate(LATER)
    execute(docs, "auth/get_me")
    expect_success(docs, "auth/get_me")
    other.close()
