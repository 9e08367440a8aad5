"""An admin's change of address sends a notice to the old one, which cannot undo it."""

from __future__ import annotations

import httpx
import pytest

from service.domain.mails import SUBJECTS
from service.models.mails import EMAIL_CHANGED_BY_ADMIN
from tests.kit.accounts import patch, told
from tests.kit.mailbox import text
from tests.kit.mails import (
    CHANGE,
    CHANGED,
    INVALID,
    VERIFICATION,
    all_sent,
    change,
    confirm,
    fresh,
    held,
    moved,
    undo,
    verify,
)
from tests.kit.serving import Person, Server

MOVED = SUBJECTS[EMAIL_CHANGED_BY_ADMIN]


def test_the_old_address_gets_a_notice_without_a_link_or_the_new_address(
    server: Server, admin: Person, anna: Person
) -> None:
    verify(anna)
    new = fresh()
    assert patch(admin.http, anna, email=new).status_code == 200
    [mail] = server.mailbox.wait(anna.email, MOVED)
    assert "token=" not in str(mail)
    assert new not in str(mail)
    assert "from the address" not in text(mail)  # that would be the admin's
    all_sent(server)
    assert server.mailbox.to(anna.email, CHANGED) == []
    assert server.mailbox.to(new, MOVED) == []


def test_an_unverified_old_address_gets_no_undo_link(
    server: Server, admin: Person, anna: Person
) -> None:
    assert patch(admin.http, anna, email=fresh()).status_code == 200
    all_sent(server)
    assert server.mailbox.to(anna.email, MOVED) == []


@pytest.mark.parametrize("changes", [{"bio": "Tea."}, {"role": "user"}])
def test_a_change_by_an_admin_that_keeps_the_address_sends_no_notice(
    changes: dict[str, str], server: Server, admin: Person, anna: Person
) -> None:
    verify(anna)
    assert patch(admin.http, anna, email=anna.email, **changes).status_code == 200
    all_sent(server)
    assert server.mailbox.to(anna.email, MOVED) == []


def test_a_notice_is_sent_even_if_the_old_address_has_had_too_many_mails(
    server: Server, admin: Person, anna: Person
) -> None:
    for number in range(1, 6):
        verify(anna)
        assert patch(admin.http, anna, email=fresh()).status_code == 200
        server.mailbox.wait(anna.email, MOVED, number)
        assert patch(admin.http, anna, email=anna.email).status_code == 200


def test_the_old_mailbox_cannot_undo_an_admins_change(
    anonymous: httpx.Client, server: Server, admin: Person, anna: Person
) -> None:
    verify(anna)
    second, third = moved(anna), fresh()
    undoing = server.mailbox.token(anna.email, CHANGED)
    assert patch(admin.http, anna, email=third).status_code == 200
    assert told(undo(anonymous, undoing)) == INVALID
    assert anna.http.get("/auth/me").json()["email"] == third
    assert confirm(anonymous, server.mailbox.token(third, VERIFICATION)).status_code == 204
    all_sent(server)
    assert server.mailbox.to(second, CHANGED) == []


def test_a_queued_undo_link_is_cancelled(server: Server, admin: Person, anna: Person) -> None:
    verify(anna)
    new = fresh()
    assert change(anna, new).status_code == 202
    token = server.mailbox.token(new, CHANGE)
    with held(server):
        assert confirm(anna.http, token).status_code == 204
        assert patch(admin.http, anna, email=fresh()).status_code == 200
    all_sent(server)
    assert server.mailbox.to(anna.email, CHANGED) == []
