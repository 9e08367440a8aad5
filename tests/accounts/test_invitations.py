"""Accounts that an admin makes or mends: invitations, another address, a way back in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from service.engine.ids import rfc3339
from service.models import AuditEvent, Mail, User
from tests.kit.accounts import patch, told
from tests.kit.mailbox import text
from tests.kit.mails import (
    CHANGE,
    CHANGED,
    INVALID,
    INVITED,
    NEW_PASSWORD,
    RESET,
    VERIFICATION,
    all_sent,
    change,
    confirm,
    fresh,
    hashed,
    mailed,
    request_reset,
    reset,
    undo,
)
from tests.kit.serving import PASSWORD, Person, Server


def invite(admin: Person, **more: Any) -> dict[str, Any]:
    answer = admin.http.post("/api/users", json={"email": fresh(), **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def recover(admin: Person, user_id: str) -> httpx.Response:
    return admin.http.post(f"/api/users/{user_id}/recovery")


def sign_in(http: httpx.Client, email: str, password: str) -> httpx.Response:
    return http.post("/auth/login", json={"email": email, "password": password})


def actions(server: Server, user_id: str) -> list[str]:
    events = select(AuditEvent.action).where(AuditEvent.user_id == user_id)
    return [action for [action] in server.execute(events.order_by(AuditEvent.id))]


def test_an_invitation_sets_the_password_and_verifies_the_address(
    anonymous: httpx.Client, server: Server, admin: Person
) -> None:
    account = invite(admin)
    [mail] = server.mailbox.wait(account["email"], INVITED)
    assert "/#/accept-invitation?token=" in text(mail)
    assert reset(anonymous, server.mailbox.token(account["email"], INVITED)).status_code == 204
    signed_in = sign_in(anonymous, account["email"], NEW_PASSWORD).json()["user"]
    assert (signed_in["email_verified"], signed_in["role"]) == (True, "user")
    happened = ["user-created", "password-reset", "email-verified", "login"]
    assert actions(server, account["id"]) == happened


@pytest.mark.parametrize("more", [{}, {"password": PASSWORD}])
def test_accepting_an_invitation_makes_an_invited_admin_an_admin(
    more: dict[str, str], anonymous: httpx.Client, server: Server, admin: Person
) -> None:
    account = invite(admin, role="admin", **more)
    assert account["role"] == "user"
    assert reset(anonymous, server.mailbox.token(account["email"], INVITED)).status_code == 204
    assert sign_in(anonymous, account["email"], NEW_PASSWORD).json()["user"]["role"] == "admin"
    assert actions(server, account["id"])[:4] == [
        *["user-created", "password-reset", "email-verified", "role-changed"]
    ]


def test_a_role_set_later_overrides_that_of_the_invitation(
    anonymous: httpx.Client, server: Server, admin: Person
) -> None:
    account = invite(admin, role="admin")
    changed = admin.http.patch(
        f"/api/users/{account['id']}", json={"role": "user"}, headers={"If-Match": "*"}
    )
    assert changed.status_code == 200
    assert reset(anonymous, server.mailbox.token(account["email"], INVITED)).status_code == 204
    assert sign_in(anonymous, account["email"], NEW_PASSWORD).json()["user"]["role"] == "user"


def test_confirming_another_address_does_not_accept_an_invitation_as_admin(
    anonymous: httpx.Client, server: Server, admin: Person
) -> None:
    account = invite(admin, role="admin", password=PASSWORD)
    person = server.sign_in(account["email"])
    assert confirm(anonymous, mailed("email-change", person)).status_code == 204
    moved = f"new-{account['email']}"
    assert request_reset(anonymous, moved).status_code == 202
    assert reset(anonymous, server.mailbox.token(moved, RESET)).status_code == 204
    assert sign_in(anonymous, moved, NEW_PASSWORD).json()["user"]["role"] == "user"
    # Nor by a later invitation: nothing of the promise is left.
    promised = select(User.invited_role).where(User.id == account["id"])
    assert server.execute(promised) == [(None,)]


@pytest.mark.parametrize("password", ["", " ", "!", "None", PASSWORD])
def test_nobody_can_sign_in_to_an_account_without_a_password(
    password: str, anonymous: httpx.Client, admin: Person
) -> None:
    account = invite(admin)
    answer = sign_in(anonymous, account["email"], password)
    unknown = sign_in(anonymous, fresh(), password)
    assert told(answer) == told(unknown)
    assert answer.status_code in {400, 401}


def test_an_invitation_is_good_for_seven_days_and_once(
    anonymous: httpx.Client, server: Server, admin: Person
) -> None:
    account = invite(admin)
    token = server.mailbox.token(account["email"], INVITED)
    of = Mail.token_hash == hashed(token)
    [[expiry]] = server.execute(select(Mail.expires_at).where(of))
    left = datetime.fromisoformat(expiry) - datetime.now(UTC)
    assert timedelta(days=7) - timedelta(minutes=5) < left <= timedelta(days=7)
    server.execute(update(Mail).where(of).values(expires_at=rfc3339(datetime.now(UTC))))
    assert told(reset(anonymous, token)) == INVALID

    assert recover(admin, account["id"]).status_code == 202
    token = server.mailbox.token(account["email"], INVITED, 2)
    assert reset(anonymous, token).status_code == 204
    assert told(reset(anonymous, token)) == INVALID
    assert told(confirm(anonymous, token)) == INVALID


# recover_account


def test_recovering_an_account_mails_a_reset_and_shows_no_token(
    anonymous: httpx.Client, server: Server, admin: Person, anna: Person
) -> None:
    answer = recover(admin, anna.id)
    assert (answer.status_code, answer.content) == (202, b"")
    token = server.mailbox.token(anna.email, RESET)
    assert reset(anonymous, token).status_code == 204
    assert sign_in(anonymous, anna.email, NEW_PASSWORD).status_code == 200
    [event] = server.execute(
        select(AuditEvent.actor_id, AuditEvent.user_id).where(
            AuditEvent.action == "recovery-requested", AuditEvent.user_id == anna.id
        )
    )
    assert tuple(event) == (admin.id, anna.id)


def test_only_admins_may_recover_an_account_and_it_must_exist(
    anonymous: httpx.Client, admin: Person, anna: Person, ben: Person
) -> None:
    assert told(recover(anna, ben.id)) == told(recover(anna, anna.id)) == (403, "admin-required")
    path = f"/api/users/{anna.id}/recovery"
    assert told(anonymous.post(path)) == (401, "authentication-required")
    assert told(recover(admin, "018f0000-0000-7000-8000-000000000000")) == (404, "not-found")


def test_a_disabled_account_gets_no_mail(server: Server, admin: Person, anna: Person) -> None:
    assert patch(admin.http, anna, disabled=True).status_code == 200
    assert recover(admin, anna.id).status_code == 202
    all_sent(server)
    assert server.mailbox.to(anna.email, RESET) == []


def test_an_account_that_was_in_use_is_never_invited(
    anonymous: httpx.Client, server: Server, admin: Person, anna: Person
) -> None:
    server.verify(anna)
    assert change(anna, moved := fresh()).status_code == 202
    assert confirm(anonymous, server.mailbox.token(moved, CHANGE)).status_code == 204
    assert undo(anonymous, server.mailbox.token(anna.email, CHANGED)).status_code == 204
    server.mailbox.wait(anna.email, RESET)  # and is lost
    assert recover(admin, anna.id).status_code == 202
    server.mailbox.wait(anna.email, RESET, 2)
    other = fresh()
    assert patch(admin.http, anna, email=other).status_code == 200
    assert recover(admin, anna.id).status_code == 202
    assert reset(anonymous, server.mailbox.token(other, RESET, 2)).status_code == 204
    account = sign_in(anonymous, other, NEW_PASSWORD).json()["user"]
    assert (account["id"], account["email_verified"]) == (anna.id, True)
    all_sent(server)
    assert server.mailbox.to(anna.email, INVITED) == server.mailbox.to(other, INVITED) == []


# update_user with an address


def test_an_admin_sets_an_address_that_its_owner_confirms(
    anonymous: httpx.Client, server: Server, admin: Person, anna: Person
) -> None:
    server.verify(anna)
    assert request_reset(anonymous, anna.email).status_code == 202
    old = server.mailbox.token(anna.email, RESET)
    new = f"Anna.{fresh()}"
    changed = patch(admin.http, anna, email=new)
    assert changed.status_code == 200
    assert (changed.json()["email"], changed.json()["email_verified"]) == (new, False)
    assert told(reset(anonymous, old)) == INVALID  # who reads the old mailbox gets in no more
    assert sign_in(anonymous, anna.email, PASSWORD).status_code == 401
    assert sign_in(anonymous, new.lower(), PASSWORD).status_code == 200
    assert anna.http.get("/auth/me").json()["email"] == new
    assert confirm(anonymous, server.mailbox.token(new, VERIFICATION)).status_code == 204
    assert anna.http.get("/auth/me").json()["email_verified"] is True
    assert actions(server, anna.id).count("email-changed") == 1


def test_the_owner_of_a_mistyped_address_cannot_remove_the_account(
    anonymous: httpx.Client, server: Server, admin: Person, anna: Person
) -> None:
    assert confirm(anonymous, mailed("email-verification", anna)).status_code == 204
    mistyped = fresh()
    assert patch(admin.http, anna, email=mistyped).status_code == 200
    token = server.mailbox.token(mistyped, VERIFICATION)
    disputed = anonymous.post("/auth/email-verifications/dispute", json={"token": token})
    assert disputed.status_code == 204
    assert anna.http.get("/auth/me").status_code == 200


def test_an_invitation_to_a_mistyped_address_is_sent_again_to_the_right_one(
    anonymous: httpx.Client, server: Server, admin: Person
) -> None:
    account, right = invite(admin, role="admin"), fresh()
    lost = server.mailbox.token(account["email"], INVITED)
    path = f"/api/users/{account['id']}"
    moved = admin.http.patch(path, json={"email": right}, headers={"If-Match": "*"})
    assert moved.status_code == 200
    assert told(reset(anonymous, lost)) == INVALID
    assert reset(anonymous, server.mailbox.token(right, INVITED)).status_code == 204
    assert sign_in(anonymous, right, NEW_PASSWORD).json()["user"]["role"] == "admin"


@pytest.mark.parametrize("respell", [str, str.upper, str.title])
def test_an_unchanged_or_respelled_address_still_signs_in(
    respell: Any, anonymous: httpx.Client, server: Server, admin: Person
) -> None:
    anna = server.verify(server.sign_up(email=f"{fresh()[:12]}@m\xfcller.example"))
    changed = patch(admin.http, anna, email=respell(anna.email))
    assert changed.json()["email"] == respell(anna.email)
    assert changed.json()["email_verified"] is (respell is str)
    assert sign_in(anonymous, anna.email, PASSWORD).status_code == 200


def test_a_taken_or_malformed_address_is_refused(admin: Person, anna: Person, ben: Person) -> None:
    assert told(patch(admin.http, anna, email=ben.email.upper())) == (409, "email-taken")
    assert told(patch(admin.http, anna, email=f" {fresh()}")) == (400, "invalid-request")
    assert told(patch(anna.http, anna, email=fresh())) == (403, "admin-only-field")
    assert anna.http.get("/auth/me").json()["email"] == anna.email


def test_an_admins_address_is_not_made_unverified(server: Server, admin: Person) -> None:
    other = server.make_admin(server.sign_up())
    for person in (admin, other):
        refused = patch(admin.http, person, email=fresh())
        assert told(refused) == (409, "email-unverified")
    assert patch(admin.http, other, role="user", email=fresh()).status_code == 200
    [account] = server.execute(select(User.role, User.email_verified).where(User.id == other.id))
    assert tuple(account) == ("user", False)
