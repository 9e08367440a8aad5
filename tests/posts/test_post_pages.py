"""Pages of posts: following the links walks through them once (more in engine/test_pagination)."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.kit.serving import Person


@pytest.mark.parametrize(
    ("order", "expected"), [("newest", ["gfe", "dcb", "a"]), ("oldest", ["abc", "def", "g"])]
)
def test_following_the_links_visits_every_page(
    anna: Person, order: str, expected: list[str]
) -> None:
    for title in "abcdefg":
        anna.post(title)
    answer = anna.http.get("/api/posts", params={"author_id": anna.id, "order": order, "limit": 3})
    pages = ["".join(post["title"] for post in answer.json())]
    while "next" in answer.links:
        answer = anna.http.get(answer.links["next"]["url"])
        pages.append("".join(post["title"] for post in answer.json()))
    assert pages == expected


def test_the_link_keeps_the_query_parameters(anna: Person) -> None:
    for title in "ab":
        anna.post(title)
    query = {
        "author_id": anna.id,
        "created_after": "2020-01-01T01:00:00+01:00",
        "created_before": "2100-01-01T00:00:00.000Z",
        "order": "oldest",
        "limit": "1",
    }
    answer = anna.http.get("/api/posts", params=query)
    reference = urlsplit(answer.links["next"]["url"])
    assert reference.path == "/api/posts"
    assert parse_qs(reference.query) == {
        **{name: [value] for name, value in query.items()},
        "after": [answer.json()[0]["id"]],
    }


def test_a_page_may_start_after_a_deleted_post(anna: Person) -> None:
    ids = [anna.post(title)["id"] for title in "abc"]
    assert anna.http.delete(f"/api/posts/{ids[1]}").status_code == 204
    for order, expected in (("newest", "a"), ("oldest", "c")):
        query = {"author_id": anna.id, "after": ids[1], "order": order}
        posts = anna.http.get("/api/posts", params=query).json()
        assert [post["title"] for post in posts] == [expected]
