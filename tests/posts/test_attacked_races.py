"""Attacks by timing on posts: what two do at once must not be more than either may do."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select

from service.models import Post, PostDocument
from tests.kit.attack import Attack, at_once, on, told
from tests.kit.serving import Person, Server

ROUNDS = 3  # of a race that one side wins or the other
CROWD = 12
ANY = {"If-Match": "*"}

pytestmark = on("sqlite", "postgresql")


@pytest.fixture
def attack(server: Server) -> Attack:
    return Attack(server)


def rows(server: Server, *conditions: Any) -> int:
    [[count]] = server.execute(select(func.count()).where(*conditions))
    return int(count)


def test_one_of_many_concurrent_deletes_of_a_post_succeeds(attack: Attack, anna: Person) -> None:
    path = f"/api/posts/{anna.post()['id']}"
    answers = at_once(*[partial(attack, "DELETE", path, token=anna)] * CROWD)
    assert told(answers) == {(204, None): 1, (404, "not-found"): CROWD - 1}


def test_a_change_does_not_bring_back_what_is_deleted(attack: Attack, server: Server) -> None:
    anna = server.sign_up()
    for _ in range(ROUNDS):
        word = f"w{secrets.token_hex(8)}"
        post = anna.post(word)["id"]
        path = f"/api/posts/{post}"
        change = partial(attack, "PATCH", path, token=anna, json={"title": word}, headers=ANY)
        deleting, *changing = at_once(partial(attack, "DELETE", path, token=anna), *[change] * 6)
        assert deleting.status == 204
        assert told(changing).keys() <= {(200, None), (404, "not-found")}
        attack("GET", path, 404)
        assert attack("GET", "/api/search", 200, params={"q": word}).json() == {"results": []}
        assert rows(server, Post.id == post) == rows(server, PostDocument.post_id == post) == 0


def test_a_tag_is_good_for_one_change_or_one_deletion(attack: Attack, anna: Person) -> None:
    for _ in range(ROUNDS):
        path = f"/api/posts/{anna.post()['id']}"
        tag = {"If-Match": attack("GET", path, 200).headers["etag"]}
        answers = at_once(
            partial(attack, "DELETE", path, token=anna, headers=tag),
            partial(attack, "PATCH", path, token=anna, headers=tag, json={"title": "Changed"}),
            partial(attack, "PATCH", path, token=anna, headers=tag, json={"title": "Other"}),
        )
        assert sum(answer.status < 400 for answer in answers) == 1
        assert {answer.status for answer in answers} <= {200, 204, 404, 412}
