"""`byline create-admin` promotes only accounts with a confirmed address."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from service.domain import passwords
from service.engine.ids import new_id, now
from service.models import Mail, Session, User
from tests.kit.commands import NO_POSTS, PASSWORD, execute, rows

PROMOTE = "create-admin --email User1@Example.com"


@pytest.fixture
def user(anywhere):
    """A verified account, signed in, with mails that were sent: to reset, and to undo."""
    anywhere(f"demo --yes --users 1{NO_POSTS}")
    [found] = rows(sa.select(User))
    moment, later = now(), "2999-01-01T00:00:00.000Z"
    session = {"id": str(new_id()), "user_id": found.id, "generation": 0, "ip": "192.0.2.7"}
    times = {"created_at": moment, "last_used_at": moment, "expires_at": later}
    execute(sa.insert(Session).values(**session, **times, user_agent="x"))
    for number, kind in enumerate(("password-reset", "email-changed")):
        mail = {"id": str(new_id()), "user_id": found.id, "kind": kind, "attempts": 1}
        token = {"recipient": found.email, "token_hash": f"{number}" * 64, "expires_at": later}
        execute(sa.insert(Mail).values(**mail, **token, due_at=None))
    return found


def test_a_confirmed_account_gets_the_role_and_password_and_is_signed_out(anywhere, user):
    ended = anywhere(PROMOTE, input=f"{PASSWORD}\n")

    assert ended.exit_code == 0, ended.output
    assert "its sessions have ended" in ended.output
    [admin] = rows(sa.select(User))
    assert (admin.id, admin.email, admin.role) == (user.id, user.email, "admin")
    assert admin.version == user.version + 1
    assert passwords.matches(admin.password_hash, PASSWORD)
    assert rows(sa.select(Session)) == rows(sa.select(Mail)) == []


@pytest.mark.parametrize(
    ("state", "way_out"),
    [
        ({"email_verified": False}, "password-resets"),
        ({"disabled": True}, "have an administrator enable it"),
        ({"email_verified": False, "role": "admin"}, "password-resets"),
    ],
)
def test_an_unconfirmed_account_is_refused_with_advice(anywhere, user, state, way_out):
    execute(sa.update(User).values(state))
    before = rows(sa.select(User.__table__))

    ended = anywhere(PROMOTE, input=f"{PASSWORD}\n")

    assert ended.exit_code == 1
    assert way_out in ended.output.lower()
    assert ended.output.startswith("Error: ")
    assert len(ended.output.splitlines()) == 1
    assert rows(sa.select(User.__table__)) == before
    assert (len(rows(sa.select(Session))), len(rows(sa.select(Mail)))) == (1, 2)


def test_a_password_that_is_too_weak_changes_nothing(anywhere, user):
    assert anywhere(PROMOTE, input="short\n").exit_code == 1

    [unchanged] = rows(sa.select(User))
    assert (unchanged.role, unchanged.version) == ("user", user.version)
    assert passwords.matches(unchanged.password_hash, "demo-password")
