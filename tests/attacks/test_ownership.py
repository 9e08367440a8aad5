"""Resources of others, and read-only fields of one's own (OWASP API1 and API3, 2023)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from service.models import User
from tests.kit.attack import Attack, Expected, on
from tests.kit.forger import Forger
from tests.kit.serving import Person, Server

ANY = {"If-Match": "*"}
INVALID, FORBIDDEN = (400, "invalid-request"), (403, "forbidden")
ADMIN_ONLY, ADMIN_FIELD = (403, "admin-required"), (403, "admin-only-field")
CHANGE = {"title": "Taken over"}

pytestmark = on("sqlite")


@pytest.fixture
def path(attack: Attack, owner: Person) -> Iterator[str]:
    """Of the owner's profile; whatever is tried, neither it nor the account has changed."""
    path = f"/api/users/{owner.id}"
    profile = attack("GET", path, 200).json()
    before = attack("GET", "/auth/me", 200, token=owner).json()
    yield path
    assert attack("GET", path, 200).json() == profile
    assert attack("GET", "/auth/me", 200, token=owner).json() == before


def test_a_user_cannot_change_another_user_in_any_way(
    attack: Attack, owner: Person, mallory: Person, path: str
) -> None:
    user, session = f"/api/users/{owner.id}", f"/auth/sessions/{Forger(owner).claims['sid']}"
    stale = {"If-Match": '"0"'}
    for changes in ({"bio": "x"}, {"username": "taken-over"}):
        for headers in (ANY, stale):
            attack("PATCH", user, FORBIDDEN, token=mallory, json=changes, headers=headers)
    for changes in ({"role": "user"}, {"disabled": True}, {"disabled": True, "bio": "x"}):
        for headers in (ANY, stale):
            answer = attack("PATCH", user, 403, token=mallory, json=changes, headers=headers)
            assert answer.code in {"forbidden", "admin-only-field"}
    for headers in (ANY, stale, {}):
        attack("DELETE", user, FORBIDDEN, token=mallory, headers=headers)
        attack("DELETE", session, 404, token=mallory, headers=headers)
    attack("DELETE", "/auth/sessions", 204, token=mallory)
    for method in ("GET", "PUT", "PATCH", "POST"):
        attack(method, session, 405, token=mallory)


# More than one may change


ASSIGNED: list[tuple[str, Any]] = [
    *[
        ("id", "{other}"),
        ("email_verified", True),
        ("version", 1),
    ],
    *[("password", "seven purple herons at dawn"), ("password_hash", "x"), ("Role", "admin")],
    *[
        ("created_at", "2020-01-01T00:00:00Z"),
        ("updated_at", "2020-01-01T00:00:00Z"),
        ("etag", "1"),
    ],
    *[("__proto__", {"role": "admin"}), ("is_admin", True), ("role.name", "admin"), ("roles", [])],
    *[("bio.x", "x"), ("$set", {"role": "admin"}), ("app_metadata", {"role": "admin"})],
]


@pytest.mark.parametrize("as_admin", [False, True])
def test_no_other_field_of_a_user_is_changed(
    attack: Attack, server: Server, owner: Person, as_admin: bool
) -> None:
    who = server.make_admin(server.sign_up()) if as_admin else server.sign_up()
    row = select(User.__table__).where(User.id == who.id)
    before = server.execute(row)
    for name, value in ASSIGNED:
        changes = {name: owner.id if value == "{other}" else value}
        for body in (changes, {**changes, "bio": "x"}):
            path = f"/api/users/{who.id}"
            attack("PATCH", path, INVALID, token=who, json=body, headers=ANY)
    assert server.execute(row) == before


PATCHES: list[tuple[Any, Expected]] = [
    *[([{"op": "replace", "path": "/role", "value": "admin"}], INVALID), ([], INVALID)],
    *[({"role": "Admin"}, INVALID), ({"role": ["admin"]}, INVALID), ({"role": None}, INVALID)],
    *[({"role": True}, INVALID), ({"disabled": "false"}, INVALID), ({"disabled": 0}, INVALID)],
    *[({"role": "admin"}, ADMIN_FIELD), ({"role": "user"}, ADMIN_FIELD)],
    ({"email": "mallory@example.com"}, ADMIN_FIELD),
    *[(None, INVALID), ("role=admin", INVALID), (1, INVALID), ({"bio": {"role": "a"}}, INVALID)],
]


def test_a_user_cannot_make_themselves_an_admin(attack: Attack, mallory: Person) -> None:
    path, plain = f"/api/users/{mallory.id}", {**ANY, "Content-Type": "application/json"}
    for body, expected in PATCHES:
        attack("PATCH", path, expected, token=mallory, content=json.dumps(body), headers=plain)
    for media_type in ("application/merge-patch+json", "application/json-patch+json"):
        headers = {**ANY, "Content-Type": media_type}
        attack("PATCH", path, 415, token=mallory, content='{"role": "admin"}', headers=headers)
    new = {"email": "mallory-2@example.com", "password": "seven purple herons", "role": "admin"}
    for method in ("POST", "GET"):
        target = "/api/users" if method == "POST" else "/api/accounts"
        attack(method, target, ADMIN_ONLY, token=mallory, json=new if method == "POST" else None)
    assert attack("GET", "/auth/me", token=mallory).json()["role"] == "user"
