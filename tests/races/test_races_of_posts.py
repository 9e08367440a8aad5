"""Posts that are written and changed at once."""

from __future__ import annotations

import secrets
from functools import partial

import httpx
import pytest
from sqlalchemy import select

from service.models import Post, PostDocument
from tests.kit.at_once import ROUNDS, at_once, codes, rows, statuses
from tests.kit.serving import Person, Server
from tests.kit.smtp import until

pytestmark = pytest.mark.usefixtures("races_hashing_in_full")


def test_one_of_20_concurrent_changes_of_a_post_succeeds(anna: Person) -> None:
    path = f"/api/posts/{anna.post()['id']}"
    tag = anna.http.get(path).headers["etag"]
    change = partial(anna.http.patch, path, headers={"If-Match": tag})
    answers = at_once(*[partial(change, json={"content": f"no. {n}"}) for n in range(20)])
    assert statuses(answers) == {200: 1, 412: 19}
    [changed] = [answer for answer in answers if answer.is_success]
    after = anna.http.get(path)
    assert after.json()["content"] == changed.json()["content"]
    assert after.headers["etag"] == changed.headers["etag"]


def test_twenty_requests_with_one_idempotency_key_create_one_post(
    server: Server, anna: Person
) -> None:
    body = {"title": "x", "content": "x"}
    key = {"Idempotency-Key": secrets.token_hex(6)}
    creating = partial(anna.http.post, "/api/posts", json=body, headers=key)
    answers = at_once(*[creating] * 20)
    assert statuses(answers).keys() <= {201, 409}
    assert codes(answers) <= {"idempotency-key-in-use"}
    created = [answer for answer in answers if answer.is_success]
    assert len({answer.content for answer in created}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in created) == 1
    assert rows(server, Post.author_id == anna.id) == 1
    assert creating().content == created[0].content


def test_a_user_deleted_while_posting_leaves_no_orphan(
    server: Server, anonymous: httpx.Client
) -> None:
    for _ in range(ROUNDS):
        anna = server.sign_up()
        body = {"title": f"word{secrets.token_hex(6)}", "content": "x"}
        deleting, *posting = at_once(
            partial(anna.http.delete, f"/api/users/{anna.id}"),
            *[partial(anna.http.post, "/api/posts", json=body)] * 12,
        )
        assert deleting.status_code == 204
        assert statuses(posting).keys() <= {201, 401}
        assert codes(posting) <= {"session-revoked"}
        until(lambda author=anna.id: rows(server, Post.author_id == author) == 0)
        assert rows(server, PostDocument.post_id.not_in(select(Post.id))) == 0
        found = anonymous.get("/api/search", params={"q": body["title"]})
        assert found.json() == {"results": []}
