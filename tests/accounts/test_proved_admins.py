"""An account with an unconfirmed address does not become an administrator's."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from service.models import User
from tests.kit.accounts import patch, told
from tests.kit.mails import mailed, reset
from tests.kit.serving import Person, Server

UNVERIFIED = (409, "email-unverified")


def state(admin: Person, person: Person) -> dict[str, Any]:
    [account] = admin.http.get("/api/accounts", params={"email": person.email}).json()
    return account


@pytest.mark.parametrize("more", [{}, {"disabled": True}, {"disabled": False}, {"bio": "Tea."}])
def test_a_role_is_refused_to_an_unverified_address_and_nothing_changes(
    more: dict[str, Any], admin: Person, anna: Person
) -> None:
    before = state(admin, anna)
    assert told(patch(admin.http, anna, role="admin", **more)) == UNVERIFIED
    assert state(admin, anna) == before
    assert anna.http.get("/auth/me").status_code == 200


def test_an_account_verified_later_may_become_an_admin(admin: Person, anna: Person) -> None:
    assert told(patch(admin.http, anna, role="admin")) == UNVERIFIED
    assert reset(anna.http, mailed("password-reset", anna)).status_code == 204
    assert patch(admin.http, anna, role="admin").json()["role"] == "admin"


def test_a_disabled_admin_with_an_unverified_address_is_not_enabled(
    server: Server, admin: Person, anna: Person
) -> None:
    changes = {"role": "admin", "disabled": True}
    server.execute(update(User).where(User.id == anna.id).values(**changes))
    assert told(patch(admin.http, anna, disabled=False)) == UNVERIFIED
    assert patch(admin.http, anna, bio="Tea.").json()["disabled"] is True
    assert patch(admin.http, anna, disabled=False, role="user").json()["disabled"] is False
