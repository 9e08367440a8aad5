"""Other people's posts: who may change and delete them is in the token and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.kit.attack import Attack, on
from tests.kit.raw import request
from tests.kit.serving import Person, Server

ANY = {"If-Match": "*"}
INVALID, FORBIDDEN = (400, "invalid-request"), (403, "forbidden")
CHANGE = {"title": "Taken over"}

pytestmark = on("sqlite")


@pytest.fixture
def attack(server: Server) -> Attack:
    return Attack(server)


@pytest.fixture(scope="module")
def owner(server: Server) -> Person:
    return server.sign_up()


@pytest.fixture(scope="module")
def mallory(server: Server) -> Person:
    return server.sign_up()


@pytest.fixture(scope="module")
def post(owner: Person) -> dict[str, Any]:
    """A post that is still there and the same after every attack."""
    return owner.post()


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


def test_the_list_is_searched_by_nothing_private(attack: Attack, owner: Person) -> None:
    email = owner.email.replace("@", "%40")
    for query in (f"email={email}", "role=admin", f"q={email}", f"id={owner.id}"):
        attack("GET", f"/api/posts?{query}", INVALID)
    for name in ("after", "author_id"):
        attack("GET", f"/api/posts?{name}={email}", INVALID)
