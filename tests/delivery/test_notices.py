"""Notices: a user is told afterwards what was done to the account, at a verified address only."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from service.engine.database.transaction import db
from service.mail import outbox
from service.models import User
from service.models.mails import (
    NEW_NETWORK,
    PASSKEY_ADDED,
    PASSKEY_REFUSED,
    PASSKEY_REMOVED,
    PASSWORD_CHANGED,
    PASSWORD_RESET,
    SESSIONS_REUSED,
    SIGN_IN_BLOCKED,
)
from tests.kit.mailbox import subject_of, text
from tests.kit.mailer import Mailer, fresh
from tests.kit.serving import PASSWORD

SUBJECTS = {
    NEW_NETWORK: "A sign-in from a new network",
    PASSKEY_ADDED: "A passkey was added to your account",
    PASSKEY_REFUSED: "A passkey of yours was refused",
    PASSKEY_REMOVED: "A passkey was removed from your account",
    PASSWORD_CHANGED: "Your password was changed",
    SESSIONS_REUSED: "A session of yours was ended",
    SIGN_IN_BLOCKED: "Somebody is trying to sign in to your account",
}
VERIFICATION = "Confirm your e-mail address"


def notify(mailer: Mailer, kind: str, user_id: str, *, commit: bool = True) -> None:
    """Tell a user something, as a handler would."""
    with mailer.server.flask.app_context(), db.transaction() as transaction:
        outbox.notify(kind, user_id)
        if commit:
            transaction.commit()


def user(mailer: Mailer, **columns: Any) -> tuple[str, str]:
    """The address and the id of a new user."""
    address = fresh()
    user_id = mailer.register(address)
    if columns:
        mailer.server.execute(sa.update(User).where(User.id == user_id).values(columns))
    return address, user_id


def received(mailer: Mailer, address: str) -> list[str]:
    mailer.catch_up()
    return [subject_of(mail.message) for mail in mailer.post.to(address)]


@pytest.mark.parametrize("kind", SUBJECTS)
def test_a_user_with_a_verified_address_gets_a_notice_once(kind: str, mailer: Mailer) -> None:
    address, user_id = user(mailer, email_verified=True)
    notify(mailer, kind, user_id)
    assert received(mailer, address).count(SUBJECTS[kind]) == 1
    assert kind not in {mail.kind for mail in mailer.outbox(address)}


@pytest.mark.parametrize(
    ("columns", "told"),
    [({}, False), ({"email_verified": True}, True), ({"disabled": True}, False)],
)
def test_an_unconfirmed_address_gets_no_notice(
    columns: dict[str, Any], told: bool, mailer: Mailer
) -> None:
    address, user_id = user(mailer, **columns)
    notify(mailer, PASSWORD_CHANGED, user_id)
    assert (SUBJECTS[PASSWORD_CHANGED] in received(mailer, address)) is told


def test_a_notice_of_a_rolled_back_change_is_not_sent(mailer: Mailer) -> None:
    address, user_id = user(mailer, email_verified=True)
    notify(mailer, PASSWORD_CHANGED, user_id, commit=False)
    assert SUBJECTS[PASSWORD_CHANGED] not in received(mailer, address)


def test_a_mail_shows_the_network_address_and_not_the_user_agent(
    mailer: Mailer,
) -> None:
    address = fresh()
    body = {"email": address, "password": PASSWORD}
    with mailer.server.client(**{"User-Agent": "Win a prize at http://evil.example"}) as client:
        assert client.post("/auth/register", json=body).status_code == 201
    [mail] = mailer.post.wait(address)
    assert ", from the address 127.0.0.1." in text(mail.message)
    assert b"evil.example" not in mail.content


def test_a_mail_does_not_show_the_network_address_of_an_administrator(mailer: Mailer) -> None:
    admin, address = mailer.server.make_admin(mailer.server.sign_up()), fresh()
    body = {"email": address, "password": PASSWORD}
    assert admin.http.post("/api/users", json=body).status_code == 201
    [mail] = mailer.post.wait(address)
    assert "from the address" not in text(mail.message)
    assert " UTC." in text(mail.message)


def test_the_circumstances_of_a_request_are_removed_once_the_mail_is_sent(mailer: Mailer) -> None:
    address, user_id = user(mailer)
    mailer.post.answers[address] = "450 4.2.0 Come back later"
    mailer.queue(PASSWORD_RESET, address, user_id)
    mailer.catch_up()
    assert mailer.outbox(address)[-1].facts
    mailer.post.answers.clear()
    mailer.make_due(address)
    mailer.catch_up()
    assert [(mail.due_at, mail.facts) for mail in mailer.outbox(address)] == [(None, None)] * 2
