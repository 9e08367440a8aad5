"""Posts that cost much to index: what they cost ends, and others do not wait for it."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from service.domain.words import MAX_TEXT_CHARACTERS
from service.handlers import posts as handlers
from service.models import PostDocument
from tests.kit.serving import Person
from tests.posts.test_words import EXPENSIVE

LONG = "東京 " * 20_000


@pytest.mark.parametrize("text", EXPENSIVE.values(), ids=EXPENSIVE)
def test_the_most_expensive_post_can_be_created_changed_and_found(anna: Person, text: str) -> None:
    rare = f"r{secrets.token_hex(8)}"
    content = text[:99_000]
    post = anna.post(rare, content)
    for change in ({"content": f"{content} x"}, {"title": f"{rare} again"}):
        answer = anna.http.patch(f"/api/posts/{post['id']}", json=change, headers={"If-Match": "*"})
        assert answer.status_code == 200, answer.text
    found = anna.http.get("/api/search", params={"q": f"{rare} again"}).json()["results"]
    assert [result["post"]["id"] for result in found] == [post["id"]]


def test_the_indexed_text_of_a_post_is_bounded(anna: Person) -> None:
    post = anna.post("title", "\ufdfa" * 100_000)
    statement = PostDocument.__table__.select().where(PostDocument.post_id == post["id"])
    [row] = anna.server.execute(statement)
    assert len(row.words) < MAX_TEXT_CHARACTERS + 100


@pytest.fixture
def meanwhile(ben: Person, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ben writes a post while the words of a long one are looked for; the answers he got."""
    answers: list[int] = []
    find: Callable[[str, str], str] = handlers.index_text

    def _find(title: str, text: str) -> str:
        if len(text) > 1000:
            answer = ben.http.post("/api/posts", json={"title": "a", "content": "b"})
            answers.append(answer.status_code)
        return find(title, text)

    monkeypatch.setattr(handlers, "index_text", _find)
    return answers


def test_other_requests_write_while_a_long_post_is_prepared(
    anna: Person, meanwhile: list[int]
) -> None:
    key = {"Idempotency-Key": secrets.token_hex(8)}
    body = {"title": "long", "content": LONG}
    for _ in range(2):
        answer = anna.http.post("/api/posts", json=body, headers=key)
        assert answer.status_code == 201
    assert answer.headers["Idempotency-Replayed"] == "true"
    for change in ({"title": "longer"}, {"content": f"{LONG}!"}):
        path = answer.headers["Location"]
        changed = anna.http.patch(path, json=change, headers={"If-Match": "*"})
        assert changed.status_code == 200
    assert meanwhile == [201, 201, 201]


def test_a_change_of_the_content_while_the_title_is_changed_is_found(
    anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = f"r{secrets.token_hex(8)}"
    post = anna.post("title", LONG)
    find: Callable[[str, str], str] = handlers.index_text

    def _find(title: str, text: str) -> str:
        if text == LONG:
            monkeypatch.setattr(handlers, "index_text", find)
            change = {"content": f"{LONG} {rare}"}
            answer = anna.http.patch(f"/api/posts/{post['id']}", json=change, headers=any_version)
            assert answer.status_code == 200
        return find(title, text)

    any_version = {"If-Match": "*"}
    monkeypatch.setattr(handlers, "index_text", _find)
    answer = anna.http.patch(f"/api/posts/{post['id']}", json={"title": "b"}, headers=any_version)
    assert answer.status_code == 200
    results = anna.http.get("/api/search", params={"q": rare}).json()["results"]
    assert [result["post"]["title"] for result in results] == ["b"]


def test_the_longest_post_is_accepted(anna: Person) -> None:
    post = anna.post("\U0001f9f6" * 200, "\U0001f9f6" * 100_000)
    assert len(post["content"]) == 100_000
