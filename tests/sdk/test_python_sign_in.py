"""Signing in with the Python client, and what it asks of its user and keeps to itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.kit.fault_proxy import RESET, FaultProxy, script
from tests.kit.personal_tokens import give
from tests.kit.second_factors import App, add_app
from tests.kit.serving import PASSWORD, Server
from tests.kit.sessions import make_old

NEW_PASSWORD = "seven purple herons at dawn"


@pytest.fixture
def app(service: Server) -> App:
    """An authenticator app."""
    return add_app(service.sign_up())


def test_a_second_factor_is_asked_for(app: App, client: Callable[..., Any]) -> None:
    asked = []

    def code(error: Any) -> str:
        asked.append((error.code, error.problem.methods))
        return app.code()

    byline = client(app.person.server.url, second_factor=code)
    signed_in = byline.sign_in(app.person.email, PASSWORD)
    assert signed_in.user.email == byline.auth.get_me().email == app.person.email
    assert asked == [("second-factor-required", ["totp", "recovery-code"])]


def test_a_second_factor_may_be_members_and_come_from_a_task(
    app: App, async_client: Callable[..., Any]
) -> None:
    async def code(error: Any) -> dict[str, str]:
        await asyncio.sleep(0)
        return {"code": app.recovery_codes[0]}

    async def sign_in() -> str:
        async with async_client(app.person.server.url, second_factor=code) as byline:
            await byline.auth.login(email=app.person.email, password=PASSWORD)
            return (await byline.auth.get_me()).email

    assert asyncio.run(sign_in()) == app.person.email


def test_without_a_second_factor_the_problem_is_raised(
    app: App, sdk: Any, client: Callable[..., Any]
) -> None:
    url = app.person.server.url
    for byline in (client(url), client(url, second_factor=lambda error: None)):
        with pytest.raises(sdk.SecondFactorRequired) as required:
            byline.sign_in(app.person.email, PASSWORD)
    assert "totp" in required.value.problem.methods
    byline.factors.complete_login(challenge=required.value.problem.challenge, code=app.code())
    assert byline.auth.get_me().email == app.person.email
    with pytest.raises(sdk.SecondFactorWrong):
        client(url, second_factor=lambda error: app.wrong_code).sign_in(app.person.email, PASSWORD)


def test_a_fresh_proof_is_asked_for_where_it_is_needed(
    service: Server, sdk: Any, client: Callable[..., Any]
) -> None:
    person, asked = service.sign_up(), []

    def password(error: Any) -> str:
        asked.append(error.code)
        return PASSWORD

    byline = client(service.url, reauthenticate=password)
    byline.sign_in(person.email, PASSWORD)
    make_old(person)
    byline.auth.refresh()  # whose access token says when the sign-in was
    byline.auth.revoke_other_sessions()
    assert asked == ["authentication-too-old"]
    byline.auth.revoke_other_sessions()  # the proof is fresh now
    assert len(asked) == 1

    for other in (client(service.url), client(service.url, reauthenticate=lambda error: None)):
        other.sign_in(person.email, PASSWORD)
        make_old(person)
        other.auth.refresh()
        with pytest.raises(sdk.AuthenticationTooOld):
            other.auth.revoke_other_sessions()


def test_a_proof_is_sent_for_nobody_but_who_gave_it(
    service: Server, sdk: Any, client: Callable[..., Any]
) -> None:
    anna, bob = service.sign_up(), service.sign_up()

    def password(_: Any) -> str:
        byline.sign_in(bob.email, PASSWORD)  # in another thread, while Anna is asked
        return PASSWORD

    seen: list[Any] = []
    byline = client(service.url, reauthenticate=password, on_exchange=seen.append)
    byline.sign_in(anna.email, PASSWORD)
    make_old(anna)
    byline.auth.refresh()
    seen.clear()
    with pytest.raises(sdk.AuthenticationTooOld):
        byline.auth.revoke_other_sessions()
    assert [one.operation for one in seen] == ["auth.revoke_other_sessions", "auth.login"]


def test_a_fresh_proof_takes_a_second_factor_if_there_is_one(
    app: App, client: Callable[..., Any]
) -> None:
    settings = {"reauthenticate": lambda error: PASSWORD, "second_factor": lambda error: app.code()}
    byline = client(app.person.server.url, **settings)
    byline.sign_in(app.person.email, PASSWORD)
    make_old(app.person)
    app.forget_used()
    byline.auth.refresh()
    byline.auth.revoke_other_sessions()
    assert [session.current for session in byline.auth.list_sessions()] == [True]


def test_a_personal_token_is_used_as_it_is(
    service: Server, sdk: Any, client: Callable[..., Any]
) -> None:
    person = service.sign_up()
    token, seen = give(person, "account:read"), []
    byline = client(service.url, f"{token}\n", on_exchange=seen.append)
    assert byline.auth.get_me().email == person.email
    with pytest.raises(sdk.ScopeMissing):
        byline.posts.create(title="x", content="x")
    person.server.client().post("/auth/tokens/leaked", json={"token": token}).raise_for_status()
    with pytest.raises(sdk.InvalidToken):
        byline.auth.get_me()
    assert [one.operation for one in seen] == ["auth.get_me", "posts.create", "auth.get_me"]
    with pytest.raises(ValueError, match="nothing to store"):
        client(service.url, token, store=sdk.MemoryStore())


def test_a_new_password_goes_on_with_the_new_session(
    service: Server, client: Callable[..., Any]
) -> None:
    person, events = service.sign_up(), []
    byline = client(service.url, on_auth_change=events.append)
    byline.sign_in(person.email, PASSWORD)
    byline.auth.change_password(current_password=PASSWORD, new_password=NEW_PASSWORD)
    assert byline.auth.get_me().email == person.email
    byline.auth.logout()
    byline.sign_out()  # there is nothing left to do
    assert events == ["signed-in", "refreshed", "signed-out"]


def test_signing_out_that_the_service_is_not_told_is_tried_again(
    service: Server, sdk: Any, client: Callable[..., Any]
) -> None:
    person, events = service.sign_up(), []
    with FaultProxy(service.url, script("/auth/logout", RESET)) as proxy:
        byline = client(proxy.url, on_auth_change=events.append)
        byline.sign_in(person.email, PASSWORD)
        with pytest.raises(httpx.TransportError):
            byline.sign_out()
        assert byline.auth.get_me().email == person.email
        byline.sign_out()
        assert events == ["signed-in", "signed-out"]
        with pytest.raises(sdk.AuthenticationRequired):
            byline.auth.get_me()


def test_signing_out_of_a_session_that_has_ended_is_no_error(
    service: Server, client: Callable[..., Any]
) -> None:
    person, events = service.sign_up(), []
    byline, other = client(service.url, on_auth_change=events.append), client(service.url)
    for one in (byline, other):
        one.sign_in(person.email, PASSWORD)
    other.auth.revoke_other_sessions()
    byline.sign_out()
    assert events == ["signed-in", "signed-out"]


def test_whoever_is_told_may_call_the_client(service: Server, client: Callable[..., Any]) -> None:
    person, found = service.sign_up(), []

    def told(event: str) -> None:
        found.append((event, byline.auth.get_me().email))

    byline = client(service.url, on_auth_change=told)
    byline.sign_in(person.email, PASSWORD)
    byline.auth.refresh()
    assert found == [("signed-in", person.email), ("refreshed", person.email)]


def test_secrets_are_not_shown(
    service: Server, sdk: Any, client: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    person, seen, store = service.sign_up(), [], sdk.MemoryStore()
    byline = client(service.url, store=store, on_exchange=seen.append)
    signed_in = byline.sign_in(person.email, PASSWORD)
    raw = sdk.AuthenticatedClient(service.url, token=signed_in.access_token)
    raw.get_httpx_client()
    issued = byline.tokens.create(name="x", scopes=["account:read"])
    credentials = sdk.models.Credentials(email=person.email, password=PASSWORD)
    with pytest.raises(sdk.CurrentPasswordWrong) as refused:
        byline.auth.reauthenticate(password=NEW_PASSWORD)
    shown = repr([byline, byline.auth, signed_in, raw, issued, credentials, seen, store.load()])
    shown += repr(vars(byline)) + repr(refused.value) + repr(vars(refused.value)) + caplog.text
    tokens = (signed_in.access_token, signed_in.refresh_token, issued.token)
    for secret in (*tokens, PASSWORD, NEW_PASSWORD):
        assert secret not in shown
    assert person.email in repr(signed_in)


def test_a_client_says_what_it_is(service: Server, client: Callable[..., Any]) -> None:
    person = service.sign_up()
    byline = client(service.url)
    byline.sign_in(person.email, PASSWORD)
    current = next(iter(byline.auth.list_sessions()))
    assert current.user_agent.startswith("byline-client-python/")
