"""Requesting another verification mail, and a service that requires verified addresses."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import update

from service.models import User
from tests.kit.accounts import told
from tests.kit.mails import (
    NEW_PASSWORD,
    RESET,
    VERIFICATION,
    all_sent,
    confirm,
    fresh,
    request_reset,
    reset,
)
from tests.kit.serving import PASSWORD, Person, Server


def login(http: httpx.Client, email: str, password: str = PASSWORD) -> httpx.Response:
    return http.post("/auth/login", json={"email": email, "password": password})


@pytest.mark.parametrize("state", [{"email_verified": True}, {"disabled": True}, None])
def test_requesting_a_verification_does_not_reveal_whether_an_account_exists(
    state: dict[str, bool] | None, anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    """It is answered alike for a known address, for one without such an account, and for none."""
    ben = server.sign_up()
    server.mailbox.wait(ben.email, VERIFICATION)
    other = ben.email if state else fresh()
    server.execute(update(User).where(User.id == ben.id).values(**state or {"bio": ""}))
    answers = [
        anonymous.post("/auth/email-verifications", json={"email": email})
        for email in (anna.email, other)
    ]
    for answer in answers:
        answer.headers.pop("x-request-id")
        answer.headers.pop("date", None)
    assert [(a.status_code, a.content) for a in answers] == [(202, b"")] * 2
    assert answers[0].headers == answers[1].headers
    all_sent(server)
    assert len(server.mailbox.to(anna.email)) == 2
    assert len(server.mailbox.to(other)) == (1 if state else 0)


def test_anybody_may_request_a_mail_and_only_the_accounts_address_gets_it(
    anonymous: httpx.Client, server: Server
) -> None:
    anna = server.sign_up(email=f"fiona-{fresh()}")
    typed = anna.email.replace("fi", "\ufb01")
    asked = anonymous.post("/auth/email-verifications", json={"email": typed})
    assert asked.status_code == 202
    assert len(server.mailbox.wait(anna.email, VERIFICATION, 2)) == 2
    all_sent(server)
    assert server.mailbox.to(typed) == []


# REQUIRE_VERIFIED_EMAIL


@pytest.fixture
def strict(serve: Callable[..., Server], server: Server) -> Server:
    """A server where only verified addresses sign in, beside the one that all tests share."""
    return serve(
        database_url=server.settings.database_url,
        mail_dir=server.settings.mail_dir,
        require_verified_email=True,
    )


def test_a_user_who_must_be_verified_signs_in_after_verification(strict: Server) -> None:
    email = fresh()
    with strict.client() as http:
        registered = http.post("/auth/register", json={"email": email, "password": PASSWORD})
        assert registered.status_code == 201
        assert told(login(http, email)) == (403, "email-unverified")
        assert confirm(http, strict.mailbox.token(email, VERIFICATION)).status_code == 204
        assert login(http, email).status_code == 200


def test_an_unverified_user_gets_another_mail_without_signing_in(strict: Server) -> None:
    email = fresh()
    with strict.client() as http:
        http.post("/auth/register", json={"email": email, "password": PASSWORD})
        assert http.post("/auth/email-verifications", json={"email": email}).status_code == 202
        assert confirm(http, strict.mailbox.token(email, VERIFICATION, 2)).status_code == 204
        assert login(http, email).status_code == 200


def test_resetting_the_password_verifies_an_unverified_user(strict: Server) -> None:
    email = fresh()
    with strict.client() as http:
        http.post("/auth/register", json={"email": email, "password": PASSWORD})
        assert told(login(http, email)) == (403, "email-unverified")
        assert request_reset(http, email).status_code == 202
        assert reset(http, strict.mailbox.token(email, RESET)).status_code == 204
        assert login(http, email, NEW_PASSWORD).status_code == 200
