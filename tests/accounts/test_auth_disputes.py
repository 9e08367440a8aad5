"""It was not me: what the owner of an address can do about an account that a stranger made."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import update

from service.models import User
from service.models.mails import EMAIL_CHANGE, EMAIL_VERIFICATION, PASSWORD_RESET
from tests.kit.accounts import told
from tests.kit.mailbox import text
from tests.kit.mails import (
    CHANGE,
    INVALID,
    VERIFICATION,
    change,
    confirm,
    dispute,
    fresh,
    mailed,
    request_verification,
    verify,
)
from tests.kit.serving import PASSWORD, Person, Server


def login(http: httpx.Client, email: str) -> httpx.Response:
    return http.post("/auth/login", json={"email": email, "password": PASSWORD})


def events(person: Person) -> list[dict[str, str]]:
    found = person.http.get("/api/audit-events?action=registration-disputed")
    assert found.status_code == 200
    return list(found.json())


def test_disputing_a_registration_removes_the_account_and_its_data(
    server: Server, anonymous: httpx.Client, anna: Person
) -> None:
    paths = [f"/api/users/{anna.id}"]
    paths.append(f"/api/posts/{anna.post()['id']}")  # posts
    again = server.sign_in(anna.email)
    token = server.mailbox.token(anna.email, VERIFICATION)
    assert dispute(anonymous, token).status_code == 204
    for person in (anna, again):
        assert told(person.http.get("/auth/me")) == (401, "session-revoked")
    assert told(login(anonymous, anna.email)) == (401, "invalid-credentials")
    for path in paths:
        assert anonymous.get(path).status_code == 404
    for use in (dispute, confirm):
        assert told(use(anonymous, token)) == INVALID


def test_a_disputed_registration_is_an_audit_event(
    server: Server, anonymous: httpx.Client, anna: Person
) -> None:
    assert dispute(anonymous, mailed(EMAIL_VERIFICATION, anna)).status_code == 204
    admin = server.make_admin(server.sign_up())
    [event] = [event for event in events(admin) if event["user_id"] == anna.id]
    assert (event["actor_id"], event["ip"]) == (None, "127.0.0.1")


def test_an_account_that_was_verified_before_is_not_removed(
    server: Server, anonymous: httpx.Client, anna: Person
) -> None:
    assert confirm(anonymous, mailed(EMAIL_VERIFICATION, anna)).status_code == 204
    # As when an administrator has mistyped another address for the account.
    server.execute(update(User).where(User.id == anna.id).values(email_verified=False))
    token = mailed(EMAIL_VERIFICATION, anna, time=2)
    assert dispute(anonymous, token).status_code == 204
    assert anna.http.get("/auth/me").json()["id"] == anna.id
    assert told(confirm(anonymous, token)) == INVALID


def test_the_owner_of_a_disputed_address_can_register_it(
    server: Server, anonymous: httpx.Client, anna: Person
) -> None:
    assert dispute(anonymous, server.mailbox.token(anna.email, VERIFICATION)).status_code == 204
    owner = server.sign_up(email=anna.email)
    assert owner.id != anna.id


def test_the_mail_names_the_network_address_and_has_a_link_for_either_answer(
    server: Server, anna: Person
) -> None:
    [mail] = server.mailbox.wait(anna.email, VERIFICATION)
    said = text(mail)
    assert "from the address 127.0.0.1." in said
    assert f"{server.settings.public_url}/#/verify-email?token=" in said
    assert f"{server.settings.public_url}/#/dispute-email?token=" in said


def test_disputing_a_change_of_address_cancels_it_and_keeps_the_account(
    server: Server, anonymous: httpx.Client, anna: Person
) -> None:
    new = fresh()
    change(anna, new)
    token = server.mailbox.token(new, CHANGE)
    assert dispute(anonymous, token).status_code == 204
    assert told(confirm(anonymous, token)) == INVALID
    assert anna.http.get("/auth/me").json()["email"] == anna.email


def test_the_network_address_that_disputes_a_change_is_not_shown_to_the_account(
    server: Server, anonymous: httpx.Client, anna: Person
) -> None:
    assert dispute(anonymous, mailed(EMAIL_CHANGE, anna)).status_code == 204
    assert [(event["actor_id"], event["ip"]) for event in events(anna)] == [(None, "")]
    admin = server.make_admin(server.sign_up())
    seen = [event["ip"] for event in events(admin) if event["user_id"] == anna.id]
    assert seen == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("kind", "action"), [(EMAIL_CHANGE, "email-changed"), (EMAIL_VERIFICATION, "email-verified")]
)
def test_the_network_address_that_confirms_an_email_is_not_shown_to_its_account(
    kind: str, action: str, server: Server, anonymous: httpx.Client, anna: Person
) -> None:
    assert confirm(anonymous, mailed(kind, anna)).status_code == 204
    admin = server.make_admin(server.sign_up())
    shown = [
        [
            event["ip"]
            for event in person.http.get("/api/audit-events", params={"action": action}).json()
        ]
        for person in (anna, admin)
    ]
    assert (shown[0], shown[1][0]) == ([""], "127.0.0.1")


def test_a_verified_account_cannot_be_disputed(
    server: Server, anonymous: httpx.Client, anna: Person
) -> None:
    token = server.mailbox.token(anna.email, VERIFICATION)
    verify(anna)
    assert told(dispute(anonymous, token)) == INVALID
    assert anna.http.get("/auth/me").status_code == 200


def test_the_account_of_an_administrator_cannot_be_disputed(
    server: Server, anonymous: httpx.Client, anna: Person
) -> None:
    token = server.mailbox.token(anna.email, VERIFICATION)
    server.make_admin(anna)
    assert told(dispute(anonymous, token)) == INVALID
    assert anna.http.get("/auth/me").status_code == 200


def test_only_the_latest_mail_can_be_used_to_dispute(
    server: Server, anonymous: httpx.Client, anna: Person
) -> None:
    first = server.mailbox.token(anna.email, VERIFICATION)
    request_verification(anna)
    last = server.mailbox.token(anna.email, VERIFICATION, 2)
    assert told(dispute(anonymous, first)) == INVALID
    assert dispute(anonymous, last).status_code == 204


@pytest.mark.parametrize("kind", [PASSWORD_RESET])
def test_a_token_of_another_kind_cannot_dispute_a_registration(
    kind: str, anonymous: httpx.Client, anna: Person
) -> None:
    assert told(dispute(anonymous, mailed(kind, anna))) == INVALID
    assert told(dispute(anonymous, "x")) == INVALID


def test_a_confirmed_account_keeps_its_session_and_its_token_cannot_dispute_it(
    anonymous: httpx.Client, anna: Person
) -> None:
    token = mailed(EMAIL_VERIFICATION, anna)
    assert confirm(anonymous, token).status_code == 204
    assert told(dispute(anonymous, token)) == INVALID
    assert anna.http.get("/auth/me").json()["email_verified"] is True
