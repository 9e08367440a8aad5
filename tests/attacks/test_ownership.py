"""What is another's, and what of one's own is not for changing (OWASP API1 and API3, 2023)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from service.models import User
from tests.kit.forger import Forger
from tests.kit.oracle import Attack, Expected, on
from tests.kit.raw import request
from tests.kit.serving import Person, Server

ANY = {"If-Match": "*"}
INVALID, FORBIDDEN = (400, "invalid-request"), (403, "forbidden")
ADMIN_ONLY, ADMIN_FIELD = (403, "admin-required"), (403, "admin-only-field")
CHANGE = {"title": "Taken over"}

pytestmark = on("sqlite")


@pytest.fixture
def path(attack: Attack, owner: Person, post: dict[str, Any]) -> Iterator[str]:
    """Of the owner's post; whatever is tried, neither it nor its owner has changed."""
    path = f"/api/posts/{post['id']}"
    before = attack("GET", "/auth/me", 200, token=owner).json()
    yield path
    assert attack("GET", path, 200).json() == post
    assert attack("GET", "/auth/me", 200, token=owner).json() == before


def test_a_post_is_its_authors_however_its_id_is_written(
    attack: Attack, mallory: Person, path: str
) -> None:
    folder, _, id_ = path.rpartition("/")
    tag = {"If-Match": attack("GET", path).headers["etag"]}
    for name in (id_, id_.upper(), f"%{ord(id_[0]):x}{id_[1:]}", id_.replace("-", "%2D")):
        target = f"{folder}/{name}"
        for headers in (ANY, tag, {"If-Match": '"0"'}):
            attack("PATCH", target, FORBIDDEN, token=mallory, json=CHANGE, headers=headers)
            attack("DELETE", target, FORBIDDEN, token=mallory, headers=headers)


NOT_ONE = [
    *[
        "*",
        "%25",
        "_",
        "me",
        "0",
        "-1",
        "1 OR 1=1",
        "null",
        "undefined",
        "{id},{own}",
        "{id}|{own}",
    ],
    *[
        "[%22{id}%22]",
        "{id}%20",
        "{id}\u200b",
        "{{{id}}}",
        "{hex}",
        "{int}",
        "{id}/..",
        "..",
        "%2e%2e",
    ],
    *["{id}%00", "{id}%0a", "{id};own={own}", "{own}/../{id}", "{own}%2f..%2f{id}", "{own}%23{id}"],
]


def test_only_its_exact_id_names_a_post(
    attack: Attack, mallory: Person, post: dict[str, Any], path: str
) -> None:
    own, id_ = mallory.post()["id"], post["id"]
    common = ("Authorization: Bearer {token}", "If-Match: *", "Content-Type: application/json")
    for template in NOT_ONE:
        name = template.format(id=id_, own=own, hex=UUID(id_).hex, int=UUID(id_).int)
        for method in ("PATCH", "DELETE"):
            target = f"/api/posts/{name}".encode()
            data = request(method, target, *common, body=json.dumps(CHANGE).encode())
            answer = attack.raw(data, token=mallory.tokens["access_token"])
            assert answer.status in {400, 403, 404}, name
    attack("DELETE", f"/api/posts/{own}", 204, token=mallory)


@pytest.mark.parametrize("where", ["query", "body", "header"])
def test_only_the_token_says_who_acts(
    attack: Attack, owner: Person, mallory: Person, path: str, where: str
) -> None:
    names = ["author_id", "user_id", "owner_id", "as", "on_behalf_of", "actor_id", "sub", "id"]
    new = {"title": "x", "content": "x"}
    for name in names:
        given = {name: owner.id}
        if where == "query":
            attack("POST", "/api/posts", INVALID, token=mallory, json=new, params=given)
            attack("PATCH", path, INVALID, token=mallory, json=CHANGE, params=given, headers=ANY)
        elif where == "body":
            attack("POST", "/api/posts", INVALID, token=mallory, json={**new, **given})
            attack("PATCH", path, INVALID, token=mallory, json={**CHANGE, **given}, headers=ANY)
        else:
            headers = {"X-" + name.replace("_", "-"): owner.id, **ANY}
            made = attack("POST", "/api/posts", 201, token=mallory, json=new, headers=headers)
            assert made.json()["author"]["id"] == mallory.id
            attack("PATCH", path, FORBIDDEN, token=mallory, json=CHANGE, headers=headers)


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
