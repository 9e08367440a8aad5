"""Second factors that somebody added to an account before its address was confirmed."""

from __future__ import annotations

import httpx
import pytest

from tests.kit.accounts import patch, told
from tests.kit.at_once import bearer
from tests.kit.mails import (
    INVITED,
    NEW_PASSWORD,
    RESET,
    VERIFICATION,
    confirm,
    fresh,
    moved,
    request_reset,
    reset,
)
from tests.kit.passkeys import added, authenticator, signed_in
from tests.kit.second_factors import add_app, log_in
from tests.kit.serving import PASSWORD, Person, Server


def recovered(http: httpx.Client, person: Person, subject: str = RESET) -> None:
    """The reader of the mailbox chooses a new password."""
    token = person.server.mailbox.token(person.email, subject)
    assert reset(http, token).status_code == 204


@pytest.mark.parametrize("is_moved", [False, True])
def test_who_registers_a_foreign_address_has_no_passkey_in_it_after_a_reset(
    server: Server, admin: Person, anonymous: httpx.Client, is_moved: bool
) -> None:
    stranger = server.sign_up()
    device = authenticator(server)
    added(stranger, device)
    if is_moved:  # by an administrator, to another address of the owner
        stranger.email = fresh()
        assert patch(admin.http, stranger, email=stranger.email).status_code == 200
    request_reset(anonymous, stranger.email)
    recovered(anonymous, stranger)
    assert told(signed_in(anonymous, device)) == (401, "passkey-unknown")
    answer = log_in(anonymous, stranger, NEW_PASSWORD)
    assert answer.status_code == 200, answer.text
    events = anonymous.get(
        "/api/audit-events", headers=bearer(answer.json()["access_token"])
    ).json()
    assert "passkey-removed" in {event["action"] for event in events}


def test_the_factors_of_an_owner_who_has_only_confirmed_a_change_stay_after_a_reset(
    server: Server, admin: Person, anonymous: httpx.Client
) -> None:
    owner = server.sign_up()
    moved(owner)  # the address of the registration is never confirmed
    add_app(owner)
    owner.email = fresh()
    assert patch(admin.http, owner, email=owner.email).status_code == 200
    request_reset(anonymous, owner.email)
    recovered(anonymous, owner)
    assert told(log_in(anonymous, owner, NEW_PASSWORD)) == (401, "second-factor-required")


def test_who_registers_a_foreign_address_does_not_shut_its_owner_out_with_an_app(
    server: Server, anonymous: httpx.Client
) -> None:
    stranger = server.sign_up()
    add_app(stranger)
    request_reset(anonymous, stranger.email)
    recovered(anonymous, stranger)
    assert log_in(anonymous, stranger, NEW_PASSWORD).status_code == 200


def test_who_invites_an_admin_keeps_no_passkey_in_the_account(
    server: Server, admin: Person, anonymous: httpx.Client
) -> None:
    email = fresh()
    invitation = {"email": email, "password": PASSWORD, "role": "admin"}
    assert admin.http.post("/api/users", json=invitation).status_code == 201
    hidden = server.sign_in(email)
    device = authenticator(server)
    added(hidden, device)
    recovered(anonymous, hidden, INVITED)
    assert told(signed_in(anonymous, device)) == (401, "passkey-unknown")


@pytest.mark.parametrize("is_moved", [False, True])
def test_the_factors_of_an_owner_stay_after_a_reset(
    server: Server, admin: Person, anonymous: httpx.Client, is_moved: bool
) -> None:
    owner = server.sign_up()
    assert confirm(anonymous, server.mailbox.token(owner.email, VERIFICATION)).status_code == 204
    add_app(owner)
    if is_moved:  # to an address that nobody has confirmed yet
        owner.email = fresh()
        assert patch(admin.http, owner, email=owner.email).status_code == 200
    request_reset(anonymous, owner.email)
    recovered(anonymous, owner)
    answer = log_in(anonymous, owner, NEW_PASSWORD)
    assert told(answer) == (401, "second-factor-required")
