"""Swagger UI in a real browser: people sign in, try operations out and read what went wrong.

A step costs the browser a second and a half, a page two: so each test is a visit of several steps.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from tests.kit.artefacts import keep
from tests.kit.legibility import unreadable
from tests.kit.personal_tokens import give
from tests.kit.second_factors import add_app
from tests.kit.serving import Person, Server
from tests.kit.sessions import grow_old
from tests.kit.swagger import Docs, scheme_of

BOTH = {"accessToken", "refreshToken"}


def credentials(person: Person) -> dict[str, str]:
    return {"email": person.email, "password": person.password}


def test_a_token_copied_into_the_dialog_authorizes_operations(
    page: Page, anna: Person, anonymous: httpx.Client
) -> None:
    docs = Docs(page)
    token = docs.try_out("auth/login", credentials(anna)).body["access_token"]
    docs.forget()
    dialog = docs.open_dialog()
    access, refresh = scheme_of(dialog, "accessToken"), scheme_of(dialog, "refreshToken")
    expect(access).to_contain_text("The access_token of login or refresh.")
    expect(refresh).to_contain_text("The refresh_token of login or of the latest refresh.")
    expect(refresh).to_contain_text("Only refresh and logout accept it.")
    keep(page, "docs-dialog")
    docs.close_dialog()
    docs.authorize("accessToken", token)
    assert docs.authorized() == {"accessToken"}

    written = {"title": "From the page", "content": "Written in a browser."}
    created = docs.try_out("posts/create_post", written)
    assert (created.status, created.body["author"]["id"]) == (201, anna.id)
    post = created.headers["location"]
    assert anonymous.get(post).json() == created.body == created.body | written
    # It would be that of the page, which is many times that of the service.
    expect(docs.operation("posts/create_post")).not_to_contain_text("Request duration")
    keep(page, "docs-created")

    listed = docs.try_out("posts/list_posts")
    assert (listed.status, listed.body) == (200, anonymous.get("/api/posts").json())
    assert created.body in listed.body

    deleted = docs.try_out("posts/delete_post", post_id=created.body["id"])
    assert (deleted.status, deleted.body) == (204, None)
    assert anonymous.get(post).status_code == 404


def test_a_personal_token_authorizes_what_its_scope_covers(page: Page, anna: Person) -> None:
    docs = Docs(page)
    docs.authorize("personalToken", give(anna, "account:read"))
    assert docs.authorized() == {"personalToken"}
    me = docs.try_out("auth/get_me")
    assert (me.status, me.body["id"]) == (200, anna.id)
    refused = docs.try_out("audit/list_audit_events")
    assert (refused.status, refused.body["code"]) == (403, "scope-missing")


def test_signing_in_on_the_page_lasts_until_signing_out(page: Page, anna: Person) -> None:
    docs = Docs(page)
    first = docs.try_out("auth/login", credentials(anna)).body
    assert docs.authorized() == BOTH
    second = docs.try_out("auth/refresh")
    assert second.request.headers["authorization"] == f"Bearer {first['refresh_token']}"
    me = docs.try_out("auth/get_me")
    assert me.request.headers["authorization"] == f"Bearer {second.body['access_token']}"
    assert (me.status, me.body["email"]) == (200, anna.email)
    assert docs.authorized() == BOTH
    new = {"current_password": anna.password, "new_password": "seven purple herons at dawn"}
    third = docs.try_out("auth/change_password", new)
    assert third.status == 200
    me = docs.try_out("auth/get_me")
    assert me.request.headers["authorization"] == f"Bearer {third.body['access_token']}"
    assert docs.authorized() == BOTH

    assert docs.try_out("auth/logout").status == 204
    assert docs.authorized() == set()
    nobody = docs.try_out("auth/get_me")
    assert "authorization" not in nobody.request.headers
    assert (nobody.status, nobody.body["code"]) == (401, "authentication-required")
    assert nobody.headers["www-authenticate"] == 'Bearer realm="byline"'
    expect(docs.operation("auth/get_me")).to_contain_text("Error: Unauthorized")
    keep(page, "docs-401")

    docs.authorize("accessToken", third.body["access_token"])
    ended = docs.try_out("auth/get_me")
    assert (ended.status, ended.body["code"]) == (401, "session-revoked")
    assert 'error="invalid_token"' in ended.headers["www-authenticate"]


def test_an_operation_that_requires_a_recent_sign_in_asks_for_the_password_and_goes_on(
    page: Page, server: Server, anna: Person
) -> None:
    old = grow_old(server.sign_in(anna.email))
    docs = Docs(page)
    docs.authorize("accessToken", old.tokens["access_token"])
    refused = docs.try_out("auth/revoke_other_sessions")
    assert (refused.status, refused.body["code"]) == (401, "authentication-too-old")
    dialog = page.get_by_role("dialog", name="Prove again who you are")
    password = dialog.get_by_label("Password")
    expect(password).to_be_focused()
    assert unreadable(page) == []
    keep(page, "docs-proof")
    password.fill("wrong")
    password.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("The current password is wrong.")
    assert anna.http.get("/auth/me").status_code == 200

    password.fill(anna.password)
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_be_hidden()
    status = docs.operation("auth/revoke_other_sessions").locator(".live-responses-table")
    expect(status.locator("tbody .response-col_status")).to_have_text("204")
    assert anna.http.get("/auth/me").status_code == 401
    assert docs.authorized() == BOTH
    assert docs.try_out("auth/get_me").status == 200

    docs.forget()
    old = grow_old(old)
    docs.authorize("accessToken", old.tokens["access_token"])
    assert docs.try_out("users/delete_user", user_id=anna.id).status == 401
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert old.http.get("/auth/me").status_code == 200


def test_a_user_with_an_authenticator_app_proves_it_with_a_code(page: Page, anna: Person) -> None:
    app = add_app(anna)
    old = grow_old(anna)
    docs = Docs(page)
    docs.authorize("accessToken", old.tokens["access_token"])
    assert docs.try_out("auth/revoke_other_sessions").status == 401
    dialog = page.get_by_role("dialog", name="Prove again who you are")
    dialog.get_by_label("Password").fill(anna.password)
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog.get_by_role("alert")).not_to_be_empty()
    dialog.get_by_label("What proves it").select_option("Code")
    dialog.get_by_label("Code", exact=True).fill(app.code())
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_be_hidden()
    status = docs.operation("auth/revoke_other_sessions").locator(".live-responses-table")
    expect(status.locator("tbody .response-col_status")).to_have_text("204")


def test_beyond_a_limit_the_page_shows_when_to_try_again(
    open_tab: Callable[..., Page], serve: Callable[..., Server]
) -> None:
    limited = serve(rate_limit_enabled=True, rate_limits={"write": "1 per day"})
    page = open_tab(limited)
    docs = Docs(page)
    writer = limited.sign_up()
    writer.post()
    docs.authorize("accessToken", writer.tokens["access_token"])
    refused = docs.try_out("posts/create_post")
    assert (refused.status, refused.body["code"]) == (429, "rate-limited")
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert '"write";q=1;w=86400' in refused.headers["ratelimit-policy"]
    assert '"write";r=0' in refused.headers["ratelimit"]
    expect(docs.operation("posts/create_post")).to_contain_text("Error: Too Many Requests")
    keep(page, "docs-429")


def test_the_prefilled_examples_work_and_set_no_filter(page: Page) -> None:
    docs = Docs(page)
    assert docs.try_out("auth/register").status == 201
    assert docs.try_out("auth/login").status == 200
    created = docs.try_out("posts/create_post")
    assert created.status == 201
    assert "idempotency-key" not in created.request.headers
    edited = docs.try_out("posts/update_post", post_id=created.body["id"])
    assert edited.status == 200

    events = docs.try_out("audit/list_audit_events")
    assert events.request.url.endswith("/api/audit-events?limit=20")
    assert [event["action"] for event in events.body] == ["login", "register"]
    hint = "For example, 2026-11-01T00:00:00Z."
    expect(docs.operation("audit/list_audit_events")).to_contain_text(hint)
