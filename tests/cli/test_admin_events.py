"""Changes of an account from a shell are audit events without an actor or a network address."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from service.models import AuditEvent, User
from tests.kit.commands import NO_POSTS, PASSWORD, execute, rows

EVENTS = sa.select(AuditEvent.__table__).order_by(AuditEvent.id)
PROMOTE = "create-admin --email user1@example.com"


def events():
    return [(e.action, e.actor_id, e.user_id, e.ip) for e in rows(EVENTS)]


def test_a_new_admin_is_a_new_user(anywhere):
    assert anywhere("create-admin --email ada@example.com", input=f"{PASSWORD}\n").exit_code == 0

    [ada] = rows(sa.select(User))
    assert events() == [("user-created", None, ada.id, "")]


@pytest.mark.parametrize(
    ("role", "actions"),
    [("user", ["role-changed", "password-changed"]), ("admin", ["password-changed"])],
)
def test_a_promotion_is_an_audit_event(anywhere, role, actions):
    anywhere(f"demo --yes --users 1{NO_POSTS}")
    execute(sa.update(User).values(role=role))

    assert anywhere(PROMOTE, input=f"{PASSWORD}\n").exit_code == 0

    [user] = rows(sa.select(User))
    assert events() == [(action, None, user.id, "") for action in actions]


@pytest.mark.parametrize("state", [{"email_verified": False}, {"disabled": True}])
def test_a_refused_promotion_causes_no_event(anywhere, state):
    anywhere(f"demo --yes --users 1{NO_POSTS}")
    execute(sa.update(User).values(state))

    assert anywhere(PROMOTE, input=f"{PASSWORD}\n").exit_code == 1

    assert events() == []


@pytest.mark.parametrize(
    ("options", "password"),
    [
        ("--email ada@example.com", "short"),
        ("--email ada", PASSWORD),
        ("--email ada@example.com --username Ada!", PASSWORD),
    ],
)
def test_a_refused_admin_causes_no_event(upgraded, options, password):
    assert upgraded(f"create-admin {options}", input=f"{password}\n").exit_code != 0

    assert events() == []


def test_purging_and_demo_data_leave_the_events_alone(anywhere):
    anywhere(f"demo --yes --users 1{NO_POSTS}")
    assert anywhere(PROMOTE, input=f"{PASSWORD}\n").exit_code == 0
    execute(sa.delete(User))
    before = rows(EVENTS)

    assert anywhere("purge").exit_code == 0
    assert anywhere(f"demo --yes --users 1{NO_POSTS}").exit_code == 0

    assert [event.action for event in before] == ["role-changed", "password-changed"]
    assert rows(EVENTS) == before
