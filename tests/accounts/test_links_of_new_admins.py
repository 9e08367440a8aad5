"""Links in other mailboxes give no access to an administrator's account."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import update

from service.domain.mails import SUBJECTS
from service.models import User
from service.models.mails import PASSWORD_CHANGED
from tests.kit.accounts import patch, told
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
    dispute,
    fresh,
    held,
    moved,
    request_reset,
    reset,
    undo,
    verify,
)
from tests.kit.serving import PASSWORD, Person, Server


@pytest.fixture
def bert(server: Server) -> Person:
    """A user with a verified address."""
    bert = server.sign_up()
    verify(bert)
    return bert


def email_of(admin: Person, user_id: str) -> str:
    [account] = [a for a in admin.http.get("/api/accounts").json() if a["id"] == user_id]
    return str(account["email"])


def disabled_admin(person: Person) -> None:
    changes = {"role": "admin", "disabled": True}
    person.server.execute(update(User).where(User.id == person.id).values(**changes))


def test_an_undo_link_from_before_a_promotion_does_not_work(
    server: Server, anonymous: httpx.Client, admin: Person, bert: Person
) -> None:
    new = moved(bert)
    undoing = server.mailbox.token(bert.email, CHANGED)
    assert patch(admin.http, bert, role="admin").status_code == 200
    assert told(undo(anonymous, undoing)) == INVALID
    assert bert.http.get("/auth/me").json()["email"] == new


@pytest.mark.parametrize("answer", [confirm, dispute])
def test_a_pending_change_of_address_ends_with_a_promotion(
    answer: Any, server: Server, anonymous: httpx.Client, admin: Person, bert: Person
) -> None:
    new = fresh()
    change(bert, new)
    pending = server.mailbox.token(new, CHANGE)
    assert patch(admin.http, bert, role="admin").status_code == 200
    assert told(answer(anonymous, pending)) == INVALID
    assert bert.http.get("/auth/me").json()["email"] == bert.email


def test_a_queued_link_is_not_sent_to_the_old_address(
    server: Server, admin: Person, bert: Person
) -> None:
    new = fresh()
    change(bert, new)
    token = server.mailbox.token(new, CHANGE)
    with held(server):
        assert confirm(bert.http, token).status_code == 204
        assert patch(admin.http, bert, role="admin").status_code == 200
    all_sent(server)
    assert server.mailbox.to(bert.email, CHANGED) == []


def test_enabling_a_disabled_administrator_ends_links_to_older_addresses(
    server: Server, anonymous: httpx.Client, admin: Person, bert: Person
) -> None:
    new = moved(bert)
    undoing = server.mailbox.token(bert.email, CHANGED)
    disabled_admin(bert)
    assert patch(admin.http, bert, disabled=False).status_code == 200
    assert told(undo(anonymous, undoing)) == INVALID
    assert email_of(admin, bert.id) == new


def test_an_invited_admin_with_another_address_stays_a_user_and_may_undo_the_change(
    server: Server, anonymous: httpx.Client, admin: Person
) -> None:
    name = fresh()
    first, second = f"eva.{name}", f"Eva.{name}"  # the same for the service, perhaps two mailboxes
    body = {"email": first, "password": PASSWORD, "role": "admin"}
    user_id = admin.http.post("/api/users", json=body).json()["id"]
    anonymous.post("/auth/email-verifications", json={"email": first})
    assert confirm(anonymous, server.mailbox.token(first, VERIFICATION)).status_code == 204
    change(server.sign_in(first), second)
    assert confirm(anonymous, server.mailbox.token(second, CHANGE)).status_code == 204
    undoing = server.mailbox.token(first, CHANGED)
    request_reset(anonymous, second)
    assert reset(anonymous, server.mailbox.token(second, RESET)).status_code == 204
    assert server.sign_in(second, NEW_PASSWORD).tokens["user"]["role"] == "user"
    assert undo(anonymous, undoing).status_code == 204
    assert email_of(admin, user_id) == first


def test_a_link_to_the_administrators_own_address_stays_good(
    server: Server, anonymous: httpx.Client, admin: Person
) -> None:
    invited = admin.http.post("/api/users", json={"email": fresh()}).json()
    anonymous.post("/auth/email-verifications", json={"email": invited["email"]})
    assert confirm(anonymous, server.mailbox.token(invited["email"], VERIFICATION)).is_success
    path = f"/api/users/{invited['id']}"
    assert admin.http.patch(path, json={"role": "admin"}, headers={"If-Match": "*"}).is_success
    assert reset(anonymous, server.mailbox.token(invited["email"], INVITED)).status_code == 204
    assert server.sign_in(invited["email"], NEW_PASSWORD).tokens["user"]["role"] == "admin"


def test_a_reset_link_from_before_the_promotion_stays_valid(
    server: Server, anonymous: httpx.Client, admin: Person, bert: Person
) -> None:
    request_reset(anonymous, bert.email)
    link = server.mailbox.token(bert.email, RESET)
    assert patch(admin.http, bert, role="admin").status_code == 200
    assert reset(anonymous, link).status_code == 204


def test_an_administrator_can_undo_their_own_change_of_address(
    server: Server, anonymous: httpx.Client, admin: Person, bert: Person
) -> None:
    assert patch(admin.http, bert, role="admin").status_code == 200
    moved(bert)
    undoing = server.mailbox.token(bert.email, CHANGED)
    assert patch(admin.http, bert, bio="Tea.", role="admin").status_code == 200
    assert undo(anonymous, undoing).status_code == 204
    assert email_of(admin, bert.id) == bert.email


@pytest.mark.parametrize("changes", [{"role": "user"}, {"bio": "Tea."}, {"disabled": False}])
def test_a_user_who_is_not_promoted_may_undo_a_change(
    changes: dict[str, Any], server: Server, anonymous: httpx.Client, admin: Person, bert: Person
) -> None:
    moved(bert)
    undoing = server.mailbox.token(bert.email, CHANGED)
    assert patch(admin.http, bert, **changes).status_code == 200
    assert undo(anonymous, undoing).status_code == 204


def test_a_user_who_is_enabled_again_may_undo_a_change(
    server: Server, anonymous: httpx.Client, admin: Person, bert: Person
) -> None:
    moved(bert)
    undoing = server.mailbox.token(bert.email, CHANGED)
    assert patch(admin.http, bert, disabled=True).status_code == 200
    assert told(undo(anonymous, undoing)) == INVALID
    assert patch(admin.http, bert, disabled=False).status_code == 200
    assert undo(anonymous, undoing).status_code == 204


def test_a_change_of_address_can_be_undone_after_a_recovery_by_an_admin(
    server: Server, anonymous: httpx.Client, admin: Person, bert: Person
) -> None:
    new = moved(bert)
    undoing = server.mailbox.token(bert.email, CHANGED)
    assert admin.http.post(f"/api/users/{bert.id}/recovery").status_code == 202
    assert reset(anonymous, server.mailbox.token(new, RESET)).status_code == 204
    server.mailbox.wait(new, SUBJECTS[PASSWORD_CHANGED])
    assert undo(anonymous, undoing).status_code == 204
