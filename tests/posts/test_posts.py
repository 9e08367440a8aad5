"""Posts: reading, writing, ownership, and one statement for each page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import sqlalchemy as sa

from service.engine.database.listing import MAX_READ_BYTES
from service.models import Post, PostDocument, User
from tests.kit.serving import Person, Server
from tests.kit.statements import noted

HOUR_AHEAD = timezone(timedelta(hours=1))
FINE = {"title": "A title", "content": "Some words."}


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What requests ask the database about posts and users, while they are looked at."""
    with noted("posts|users") as asked:
        yield asked


def found(client: httpx.Client, **filters: Any) -> list[str]:
    """The titles of a listing."""
    answer = client.get("/api/posts", params=filters)
    assert answer.status_code == 200, answer.text
    return [post["title"] for post in answer.json()]


def shifted(post: dict[str, Any], **by: float) -> str:
    """A moment before or after the post was created."""
    moment = datetime.fromisoformat(post["created_at"]) + timedelta(**by)
    return moment.isoformat().replace("+00:00", "Z")


def test_a_new_post_has_its_author_embedded(anna: Person) -> None:
    answer = anna.http.post("/api/posts", json=FINE)
    assert answer.status_code == 201
    post = answer.json()
    assert post == {
        "id": post["id"],
        **FINE,
        "author": {"id": anna.id, "username": anna.username},
        "created_at": post["created_at"],
        "updated_at": post["created_at"],
    }
    assert UUID(post["id"]).version == 7
    assert datetime.fromisoformat(post["created_at"]).utcoffset() == timedelta(0)
    assert post["created_at"].endswith("Z")


def test_a_new_post_can_be_read_at_its_location(anna: Person, anonymous: httpx.Client) -> None:
    created = anna.http.post("/api/posts", json=FINE)
    assert created.headers["Location"] == f"/api/posts/{created.json()['id']}"
    read = anonymous.get(created.headers["Location"])
    assert read.json() == created.json()
    assert read.headers["ETag"] == created.headers["ETag"]


@pytest.mark.parametrize(
    ("title", "content"),
    [
        ("x", "y"),
        ("<script>alert(1)</script>", "&lt; '; DROP TABLE posts; -- {{ 7 * 7 }} %s :id"),
        ("  kept  ", "\t one\r\n\n two \u2028\x7f\x01 "),
        ("\U0001f9f6" * 200, "\U0001f9f6" * 100_000),
        ("Cafe\u0301 is not Caf\u00e9", "\u202e right to left \ufeff"),
    ],
)
def test_text_comes_back_as_it_was_sent(
    anna: Person, anonymous: httpx.Client, title: str, content: str
) -> None:
    post = anna.post(title, content)
    read = anonymous.get(f"/api/posts/{post['id']}").json()
    assert (read["title"], read["content"]) == (title, content)
    [listed] = anonymous.get("/api/posts", params={"author_id": anna.id}).json()
    assert listed == read == post


@pytest.mark.parametrize(
    ("wrong", "pointer", "code"),
    [
        ({"title": ""}, "/title", "min-length"),
        ({"title": "x" * 201}, "/title", "max-length"),
        ({"title": "two\nlines"}, "/title", "pattern"),
        ({"title": 1}, "/title", "type"),
        ({"content": ""}, "/content", "min-length"),
        ({"content": "x" * 100_001}, "/content", "max-length"),
        ({"content": None}, "/content", "type"),
        ({"author": {"id": "someone"}}, "/author", "unknown"),
        ({"created_at": "2020-01-01T00:00:00Z"}, "/created_at", "unknown"),
    ],
)
def test_create_and_update_refuse_an_invalid_post(
    anna: Person, wrong: dict[str, Any], pointer: str, code: str
) -> None:
    post = anna.post()
    create = anna.http.post("/api/posts", json={**FINE, **wrong})
    update = anna.http.patch(f"/api/posts/{post['id']}", json=wrong, headers={"If-Match": "*"})
    for answer in (create, update):
        assert answer.status_code == 400
        errors = answer.json()["errors"]
        assert {e["pointer"] for e in errors} == {pointer}
        assert code in {e["code"] for e in errors}
    assert anna.http.get("/api/posts", params={"author_id": anna.id}).json() == [post]


def test_a_new_post_needs_both_fields_and_a_change_at_least_one(anna: Person) -> None:
    answer = anna.http.post("/api/posts", json={})
    assert {e["pointer"] for e in answer.json()["errors"]} == {"/title", "/content"}
    path = f"/api/posts/{anna.post()['id']}"
    assert anna.http.patch(path, json={}, headers={"If-Match": "*"}).status_code == 400


@pytest.mark.parametrize("field", ["title", "content"])
def test_a_change_keeps_the_other_fields(anna: Person, field: str) -> None:
    post = anna.post()
    path = f"/api/posts/{post['id']}"
    answer = anna.http.patch(path, json={field: "Changed"}, headers={"If-Match": "*"})
    assert answer.status_code == 200
    changed = answer.json()
    assert changed == {**post, field: "Changed", "updated_at": changed["updated_at"]}
    assert changed["updated_at"] >= post["updated_at"]
    assert anna.http.get(path).json() == changed


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("paged", [False, True])
def test_a_page_is_one_statement(
    anna: Person, ben: Person, statements: list[str], order: str, filtered: bool, paged: bool
) -> None:
    first = anna.post()
    query: dict[str, Any] = {"limit": 100, "order": order}
    if filtered:
        query |= {"author_id": ben.id, "created_after": first["created_at"]}
    if paged:
        query |= {"after": first["id"]}
    for person in (anna, ben, ben):
        person.post()
    # Posts of deleted users, which other tests have left, are passed over by more statements.
    gone = sa.select(User.id).where(User.deleted)
    anna.server.execute(sa.delete(Post).where(Post.author_id.in_(gone)))
    statements.clear()
    answer = anna.http.get("/api/posts", params=query)
    assert answer.status_code == 200
    # Other tests may have left posts of which PostgreSQL first learns that they are large.
    largest = max((len(post["content"].encode()) for post in answer.json()), default=0)
    is_large = largest > MAX_READ_BYTES // 101 and not anna.server.settings.embedded
    assert len(statements) == (3 if is_large else 1)  # then their sizes, and those that fit


def test_one_post_is_one_statement(anna: Person, statements: list[str]) -> None:
    path = f"/api/posts/{anna.post()['id']}"
    statements.clear()
    assert anna.http.get(path).status_code == 200
    assert len(statements) == 1


def test_newest_is_first_unless_asked_otherwise(anna: Person, anonymous: httpx.Client) -> None:
    for title in ("one", "two", "three"):
        anna.post(title)
    assert found(anonymous, author_id=anna.id) == ["three", "two", "one"]
    assert found(anonymous, author_id=anna.id, order="newest") == ["three", "two", "one"]
    assert found(anonymous, author_id=anna.id, order="oldest") == ["one", "two", "three"]


def test_the_posts_of_one_author_are_only_theirs(anna: Person, ben: Person) -> None:
    anna.post("hers")
    ben.post("his")
    assert found(anna.http, author_id=anna.id) == ["hers"]
    assert found(anna.http, author_id=str(uuid4())) == []
    assert {"hers", "his"} <= set(found(anna.http, limit=100))


@pytest.mark.parametrize(
    ("bound", "by", "there"),
    [
        ("created_after", {"milliseconds": -1}, True),
        ("created_after", {"microseconds": -1}, True),
        ("created_after", {}, False),
        ("created_after", {"microseconds": 1}, False),
        ("created_after", {"days": 400_000}, False),
        ("created_after", {"days": -30_000}, True),
        ("created_before", {"microseconds": -1}, False),
        ("created_before", {}, False),
        ("created_before", {"microseconds": 1}, True),
        ("created_before", {"milliseconds": 1}, True),
        ("created_before", {"days": 400_000}, True),
        ("created_before", {"days": -30_000}, False),
    ],
)
def test_a_bound_in_time_is_exclusive_to_the_millisecond(
    anna: Person, bound: str, by: dict[str, float], there: bool
) -> None:
    post = anna.post("here")
    times = {bound: shifted(post, **by)}
    assert found(anna.http, author_id=anna.id, **times) == ["here"] * there


def test_bounds_in_time_go_together_and_know_time_zones(anna: Person) -> None:
    post = anna.post("here")
    here = datetime.fromisoformat(post["created_at"]).astimezone(HOUR_AHEAD)
    assert here.isoformat().endswith("+01:00")
    before, after = here - timedelta(milliseconds=1), here + timedelta(milliseconds=1)
    around = {"created_after": before.isoformat(), "created_before": after.isoformat()}
    assert found(anna.http, author_id=anna.id, **around) == ["here"]
    at = {"created_after": before.isoformat(), "created_before": here.isoformat()}
    assert found(anna.http, author_id=anna.id, **at) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"author_id": "anna"},
        {"created_after": "2016-12-31T23:58:60Z"},
        {"created_after": "2016-12-31T23:59:61Z"},
        {"order": "best"},
        {"created_after": "2026-11-01"},
        {"created_after": "2026-11-01T00:00:00"},
        {"created_before": "2026-02-30T00:00:00Z"},
        {"sort": "id"},
    ],
)
def test_a_contradictory_filter_is_refused(anonymous: httpx.Client, wrong: Any) -> None:
    answer = anonymous.get("/api/posts", params=wrong)
    assert answer.status_code == 400
    assert [e["pointer"] for e in answer.json()["errors"]] == list(wrong)


Change = Callable[[httpx.Client, str], httpx.Response]
CHANGES: list[Change] = [
    lambda http, path: http.patch(path, json={"title": "Other"}, headers={"If-Match": "*"}),
    lambda http, path: http.delete(path),
]


@pytest.mark.parametrize("change", CHANGES, ids=["update", "delete"])
def test_only_the_author_and_admins_change_a_post(
    anna: Person, ben: Person, admin: Person, anonymous: httpx.Client, change: Change
) -> None:
    post = anna.post()
    path = f"/api/posts/{post['id']}"
    assert change(anonymous, path).status_code == 401
    refused = change(ben.http, path)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert anonymous.get(path).json() == post
    assert change(admin.http, path).is_success
    now = anonymous.get(path).json()
    assert now.get("title") == "Other" or now["status"] == 404


@pytest.mark.parametrize("change", CHANGES, ids=["update", "delete"])
def test_an_unknown_post_is_a_404(anna: Person, admin: Person, change: Change) -> None:
    for person in (anna, admin):
        answer = change(person.http, f"/api/posts/{uuid4()}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert change(anna.http, "/api/posts/1").status_code == 400


def test_a_second_delete_of_a_post_is_a_404(server: Server, anna: Person) -> None:
    post, other = anna.post("one"), anna.post("two")
    path = f"/api/posts/{post['id']}"
    answer = anna.http.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert anna.http.get(path).status_code == 404
    assert anna.http.delete(path).status_code == 404
    assert found(anna.http, author_id=anna.id) == ["two"]
    kept = sa.select(PostDocument.post_id).where(
        PostDocument.post_id.in_([post["id"], other["id"]])
    )
    assert [row.post_id for row in server.execute(kept)] == [other["id"]]


def test_reading_a_post_ignores_the_token(server: Server, anna: Person) -> None:
    post = anna.post()
    with server.client("nonsense") as client:
        assert client.get(f"/api/posts/{post['id']}").json() == post
        assert found(client, author_id=anna.id) == [post["title"]]
