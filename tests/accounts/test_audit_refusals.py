"""What did not happen is not written down, except for what was tried; and what cannot be written
down does not happen."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select, update

from service.engine.database.transaction import Transaction
from service.models import AuditEvent, Session, User
from service.models.mails import EMAIL_CHANGE, PASSWORD_RESET
from tests.kit.accounts import ANY
from tests.kit.events import latest, written
from tests.kit.mails import NEW_PASSWORD, confirm, fresh, mailed, request_verification, reset
from tests.kit.serving import PASSWORD, Person, Server

UNKNOWN = uuid4()
WEAK = "password1"
STALE = {"If-Match": '"0"'}

Doing = Callable[[], httpx.Response]


def put_password(anna: Person, current: str, new: str) -> httpx.Response:
    body = {"current_password": current, "new_password": new}
    return anna.http.put("/auth/password", json=body)


def register(anna: Person, **fields: str) -> httpx.Response:
    return anna.http.post("/auth/register", json={"email": fresh(), "password": PASSWORD} | fields)


def refresh(anna: Person) -> httpx.Response:
    token = {"Authorization": f"Bearer {anna.tokens['refresh_token']}"}
    return anna.http.post("/auth/refresh", headers=token)


def patch(by: Person, whom: Person, headers: dict[str, str] = ANY, **changes: Any) -> Doing:
    return partial(by.http.patch, f"/api/users/{whom.id}", json=changes, headers=headers)


def delete(by: Person, whom: Any, headers: dict[str, str] | None = None) -> Doing:
    return partial(by.http.delete, f"/api/users/{whom}", headers=headers)


def late_confirmation(anna: Person) -> Doing:
    """Anna confirms an address that has become another's meanwhile."""
    token = mailed(EMAIL_CHANGE, anna)
    register(anna, email=f"new-{anna.email}")
    return partial(confirm, anna.http, token)


def weak_reset(anna: Person) -> Doing:
    return partial(reset, anna.http, mailed(PASSWORD_RESET, anna), WEAK)


def taken(anna: Person, admin: Person) -> Doing:
    """A name is given to Anna that another has, and a role with it."""
    return patch(admin, anna, username=admin.username, role="admin")


def only_admin(admin: Person) -> Person:
    others = (User.role == "admin") & (User.id != admin.id)
    admin.server.execute(update(User).where(others).values(role="user"))
    return admin


def after_logout(anna: Person) -> Doing:
    assert anna.http.post("/auth/logout").is_success
    return partial(refresh, anna)


def revoked_twice(anna: Person) -> Doing:
    anna.server.sign_in(anna.email)
    newest = anna.http.get("/auth/sessions").json()[1]["id"]
    revoke = partial(anna.http.delete, f"/auth/sessions/{newest}")
    assert revoke().is_success
    return revoke


def deleted_twice(anna: Person, admin: Person) -> Doing:
    again = delete(admin, anna.id)
    assert again().is_success
    return again


# What is done by Anna, Ben or an administrator, and what the answer is.
SILENT: dict[str, tuple[Callable[[Person, Person, Person], Doing], int | str]] = {
    "a taken address": (lambda a, b, c: partial(register, a, email=a.email), "email-taken"),
    "a weak password": (lambda a, b, c: partial(register, a, password=WEAK), "weak-password"),
    "a refresh": (lambda a, b, c: partial(refresh, a), 200),
    "a refresh after the end": (lambda a, b, c: after_logout(a), "session-revoked"),
    "another verification": (lambda a, b, c: partial(request_verification, a), 202),
    "a wrong current password": (
        lambda a, b, c: partial(put_password, a, "wrong", NEW_PASSWORD),
        "current-password-wrong",
    ),
    "a weak new password": (
        lambda a, b, c: partial(put_password, a, PASSWORD, WEAK),
        "weak-password",
    ),
    "a wrong password for a new address": (
        lambda a, b, c: partial(
            a.http.put, "/auth/email", json={"email": fresh(), "current_password": "wrong"}
        ),
        "current-password-wrong",
    ),
    "an address that is taken by now": (lambda a, b, c: late_confirmation(a), "token-invalid"),
    "a token that is none": (lambda a, b, c: partial(confirm, a.http, "x" * 43), "token-invalid"),
    "a reset with a token that is none": (
        lambda a, b, c: partial(reset, a.http, "x" * 43),
        "token-invalid",
    ),
    "a reset to a weak password": (lambda a, b, c: weak_reset(a), "weak-password"),
    "no other sessions": (lambda a, b, c: partial(a.http.delete, "/auth/sessions"), 204),
    "an unknown session": (
        lambda a, b, c: partial(a.http.delete, f"/auth/sessions/{UNKNOWN}"),
        "not-found",
    ),
    "another's session": (
        lambda a, b, c: partial(
            b.http.delete, f"/auth/sessions/{a.http.get('/auth/sessions').json()[0]['id']}"
        ),
        "not-found",
    ),
    "a session twice": (lambda a, b, c: revoked_twice(a), "not-found"),
    "another biography": (lambda a, b, c: patch(a, a, bio="Tea."), 200),
    "the same role": (lambda a, b, c: patch(c, a, role="user", disabled=False), 200),
    "a stale role": (lambda a, b, c: patch(c, a, STALE, role="admin"), "precondition-failed"),
    "a role without If-Match": (
        lambda a, b, c: patch(c, a, {}, role="admin"),
        "precondition-required",
    ),
    "a role and a taken name": (lambda a, b, c: taken(a, c), "username-taken"),
    "a role for oneself": (lambda a, b, c: patch(a, a, role="admin"), "admin-only-field"),
    "a role for another": (lambda a, b, c: patch(b, a, disabled=True), "admin-only-field"),
    "a role for an unproved address": (
        lambda a, b, c: patch(c, a, role="admin"),
        "email-unverified",
    ),
    "the last admin's role": (lambda a, b, c: patch(only_admin(c), c, role="user"), "last-admin"),
    "the last admin": (lambda a, b, c: delete(only_admin(c), c.id), "last-admin"),
    "another user": (lambda a, b, c: delete(b, a.id), "forbidden"),
    "an unknown user": (lambda a, b, c: delete(c, UNKNOWN), "not-found"),
    "a stale user": (lambda a, b, c: delete(a, a.id, STALE), "precondition-failed"),
    "a user twice": (lambda a, b, c: deleted_twice(a, c), "not-found"),
    "an account by no admin": (
        lambda a, b, c: partial(
            a.http.post, "/api/users", json={"email": fresh(), "password": PASSWORD}
        ),
        "admin-required",
    ),
    "an account that is there": (
        lambda a, b, c: partial(
            c.http.post, "/api/users", json={"email": a.email, "password": PASSWORD}
        ),
        "email-taken",
    ),
    "the head of an export that is refused": (
        lambda a, b, c: partial(a.http.head, "/auth/export", headers={"Authorization": "x"}),
        401,
    ),
    "the events": (lambda a, b, c: partial(c.http.get, "/api/audit-events"), 200),
}


@pytest.mark.parametrize(("prepare", "expected"), SILENT.values(), ids=SILENT)
def test_a_request_that_changes_nothing_causes_no_event(
    prepare: Callable[[Person, Person, Person], Doing],
    expected: int | str,
    server: Server,
    anna: Person,
    ben: Person,
    admin: Person,
) -> None:
    do = prepare(anna, ben, admin)
    before = latest(server)
    answer = do()
    told = answer.status_code if isinstance(expected, int) else answer.json()["code"]
    assert told == expected
    assert written(server, before) == []


def test_a_change_that_is_not_committed_causes_no_event(
    server: Server, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = latest(server)

    def fail(_: Transaction) -> None:
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(Transaction, "commit", fail)
        assert anna.http.post("/auth/logout").status_code == 500
    assert written(server, before) == []
    assert anna.http.post("/auth/logout").status_code == 204
    assert [action for action, *_ in written(server, before)] == ["logout"]


CHANGES: dict[str, Callable[[Person, Person], httpx.Response]] = {
    "register": lambda a, c: register(a, username=f"u-{secrets.token_hex(6)}"),
    "login": lambda a, c: a.http.post(
        "/auth/login", json={"email": a.email, "password": a.password}
    ),
    "logout": lambda a, c: a.http.post("/auth/logout"),
    "password": lambda a, c: put_password(a, PASSWORD, NEW_PASSWORD),
    "role": lambda a, c: patch(c, a, disabled=True)(),
    "deletion": lambda a, c: delete(c, a.id)(),
    "export": lambda a, c: a.http.get("/auth/export"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_whose_event_cannot_be_written_does_not_happen(
    change: Callable[[Person, Person], httpx.Response],
    server: Server,
    anna: Person,
    admin: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def state() -> list[Any]:
        hers = select(User, Session.id).outerjoin(Session, Session.user_id == User.id)
        tables = (hers.where(User.id == anna.id), select(User.id).order_by(User.id))
        return [sorted(map(str, server.execute(table))) for table in tables]

    def fail(*_: Any, **__: Any) -> None:
        raise OSError

    before, last = state(), latest(server)
    with monkeypatch.context() as patched:
        patched.setattr(AuditEvent, "record", fail)
        assert change(anna, admin).status_code == 500
    assert (state(), written(server, last)) == (before, [])
    assert change(anna, admin).is_success
    assert written(server, last) != []
