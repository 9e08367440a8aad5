"""Titles and contents without a visible character are refused."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from service.models import Post
from tests.kit.exports import lines
from tests.kit.serving import Person

UNSEEN = {
    "a space": " ",
    "spaces of all kinds": "\t\n\r \u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\x85\x1f",
    "a zero width space": "\u200b",
    "joiners and marks of direction": "\u200c\u200d\u200e\u200f\u061c\u2060\ufeff",
    "a soft hyphen": "\u00ad",
    "Hangul fillers": "\u3164\u115f\u1160\uffa0",
    "a blank of Braille": "\u2800",
    "controls": "\x01\x7f\x80\x9f",
    "overrides of direction": "\u202e\u2066\u2069",
    "variation selectors": "\ufe0f\U000e0100\u180b",
    "tags": "\U000e0001\U000e0061",
    "an invisible operator": "\u2061\u2064",
    "a joiner of graphemes": "\u034f",
    "notation of music": "\U0001d173\U0001d159",
}
SEEN = [
    "x",
    "\u200bx\u200b",
    " . ",
    "猫",
    "\U0001f9f6",
    "\u00a0é",
    "\u0301",
    "\ufffd",
    "☃\ufe0f",
    "0",
]
LINE_ENDS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
OLD = {"title": "a\u2028b", "content": "\u200b"}  # as could be written before the rule


@pytest.mark.parametrize("text", UNSEEN.values(), ids=UNSEEN)
@pytest.mark.parametrize("field", ["title", "content"])
def test_text_without_a_visible_character_is_refused(anna: Person, field: str, text: str) -> None:
    body = {"title": "A title", "content": "Some words."} | {field: text}
    made = anna.http.post("/api/posts", json=body)
    path = f"/api/posts/{anna.post()['id']}"
    changed = anna.http.patch(path, json={field: text}, headers={"If-Match": "*"})
    for answer in (made, changed):
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")
        errors = {error["code"]: error for error in answer.json()["errors"]}
        assert {error["pointer"] for error in errors.values()} == {f"/{field}"}
        assert errors["format"]["detail"] == "must have a visible character"


@pytest.mark.parametrize("text", SEEN)
def test_a_text_needs_only_one_visible_character(anna: Person, text: str) -> None:
    post = anna.post(text, text)
    assert (post["title"], post["content"]) == (text, text)


def test_an_empty_title_is_one_error(anna: Person) -> None:
    answer = anna.http.post("/api/posts", json={"title": "", "content": "x"})
    assert answer.json()["errors"] == [
        {"pointer": "/title", "code": "min-length", "detail": "must have at least 1 character"}
    ]


@pytest.mark.parametrize("end", LINE_ENDS)
def test_a_title_is_one_line(anna: Person, end: str) -> None:
    for title in (f"a{end}b", f"a{end}", f"{end}a"):
        answer = anna.http.post("/api/posts", json={"title": title, "content": "x"})
        assert answer.status_code == 400
        assert [e["code"] for e in answer.json()["errors"]] == ["pattern"]


@pytest.mark.parametrize("end", LINE_ENDS)
def test_content_may_have_lines(anna: Person, end: str) -> None:
    assert anna.post("a", f"a{end}b")["content"] == f"a{end}b"


def test_an_older_post_can_be_read_found_and_mended(anna: Person) -> None:
    post = anna.post(f"{anna.username} old")
    path = f"/api/posts/{post['id']}"
    anna.server.execute(sa.update(Post).where(Post.id == post["id"]).values(**OLD))
    assert anna.http.get(path).json() == post | OLD
    assert anna.http.get("/api/posts", params={"author_id": anna.id}).json() == [post | OLD]
    [found] = anna.http.get("/api/search", params={"q": anna.username}).json()["results"]
    assert found["post"] == post | OLD
    exported = lines(anna.http.get("/auth/export").content)
    assert {"type": "post", **post, **OLD} in exported
    for change in ({"content": "Seen."}, {"title": "Seen"}):
        answer = anna.http.patch(path, json=change, headers={"If-Match": "*"})
        assert answer.status_code == 200
        assert answer.json().items() >= change.items()
