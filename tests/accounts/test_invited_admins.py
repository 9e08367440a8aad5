"""An invitation makes an administrator only while it is valid and an inviting administrator is
active."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import update

from service.engine.ids import now
from service.models import Mail
from tests.accounts.test_invitations import invite, recover, sign_in
from tests.kit.accounts import patch
from tests.kit.mails import INVITED, NEW_PASSWORD, RESET, request_reset, reset
from tests.kit.serving import Person, Server


def test_a_reset_does_not_make_an_invited_user_an_admin(
    anonymous: httpx.Client, server: Server, admin: Person
) -> None:
    """Or whoever gets the mailbox would be one, long after the invitation has expired."""
    email = invite(admin, role="admin")["email"]
    server.mailbox.wait(email, INVITED)
    server.execute(update(Mail).where(Mail.recipient == email).values(expires_at=now()))
    assert request_reset(anonymous, email).status_code == 202
    assert reset(anonymous, server.mailbox.token(email, RESET)).status_code == 204
    assert sign_in(anonymous, email, NEW_PASSWORD).json()["user"]["role"] == "user"


def demote(by: Person, who: Person) -> httpx.Response:
    return patch(by.http, who, role="user")


def disable(by: Person, who: Person) -> httpx.Response:
    return patch(by.http, who, disabled=True)


def remove(by: Person, who: Person) -> httpx.Response:
    return by.http.delete(f"/api/users/{who.id}")


@pytest.mark.parametrize("dismiss", [demote, disable, remove])
def test_the_invitation_of_a_former_admin_makes_no_admin(
    dismiss: Callable[[Person, Person], httpx.Response],
    anonymous: httpx.Client,
    server: Server,
    admin: Person,
) -> None:
    former = server.make_admin(server.sign_up())
    email = invite(former, role="admin")["email"]
    assert dismiss(admin, former).is_success
    assert reset(anonymous, server.mailbox.token(email, INVITED)).status_code == 204
    assert sign_in(anonymous, email, NEW_PASSWORD).json()["user"]["role"] == "user"


def test_another_admin_can_renew_an_invitation(
    anonymous: httpx.Client, server: Server, admin: Person
) -> None:
    former = server.make_admin(server.sign_up())
    account = invite(former, role="admin")
    server.mailbox.wait(account["email"], INVITED)
    assert demote(admin, former).is_success
    assert recover(admin, account["id"]).status_code == 202
    again = server.mailbox.token(account["email"], INVITED, 2)
    assert reset(anonymous, again).status_code == 204
    assert sign_in(anonymous, account["email"], NEW_PASSWORD).json()["user"]["role"] == "admin"
