"""Pages of large posts: each ends at about 1 MiB, and following the links gives everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from service.models import Post, post_documents
from service.models import posts as models
from tests.kit.exports import lines
from tests.kit.serving import Person

LARGEST = 1024 * 1024
CONTENTS = {
    "bytes": "\U0001f9f6" * 99_990,  # 400 kB each
    "escapes": '"\\' * 49_990,  # 200 kB in JSON
    "controls": "a\x01" * 49_990,  # 350 kB in JSON
    "letters": "word " * 18_000,
}
Posts = dict[str, str]  # content by id


@pytest.fixture(params=CONTENTS)
def large(request: pytest.FixtureRequest, anna: Person) -> Posts:
    """Thirteen posts by Anna, a small one between the large ones each time."""
    text = CONTENTS[request.param]
    contents = ["small", *[text, "small"] * 6]
    return {anna.post(f"{anna.username} {n}", c)["id"]: c for n, c in enumerate(contents)}


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the contents that came from the database."""
    sizes: list[int] = []

    def _shape(row: Any) -> dict[str, Any]:
        sizes.append(len(row.content if hasattr(row, "content") else row[2]))
        return models.shape(row)

    monkeypatch.setattr(Post.listing, "_shape", _shape)
    monkeypatch.setattr(post_documents, "shape", _shape)
    return sizes


def pages(client: httpx.Client, path: str, **query: Any) -> Iterator[httpx.Response]:
    answer = client.get(path, params=query)
    yield answer
    while "next" in answer.links:
        answer = client.get(urljoin(str(answer.url), answer.links["next"]["url"]))
        yield answer


def test_following_the_links_visits_every_item(
    anna: Person, large: Posts, rows_read: list[int]
) -> None:
    found: Posts = {}
    for page in pages(anna.http, "/api/posts", author_id=anna.id, limit=100):
        assert page.status_code == 200
        assert len(page.content) <= LARGEST + 2
        found |= {post["id"]: post["content"] for post in page.json()}
        assert sum(rows_read) <= LARGEST + 100_000, "no more is read than the page and one row"
        rows_read.clear()
    assert list(found.items()) == list(reversed(large.items()))


def test_a_search_may_return_fewer_results_and_continues_after_them(
    anna: Person, large: Posts, rows_read: list[int]
) -> None:
    found: list[str] = []
    while True:
        query = {"q": anna.username, "limit": 50, "offset": len(found)}
        answer = anna.http.get("/api/search", params=query)
        results = answer.json()["results"]
        assert len(answer.content) <= LARGEST + 20
        assert sum(rows_read) <= LARGEST + 100_000
        rows_read.clear()
        found += [result["post"]["id"] for result in results]
        if not results:
            break
    assert sorted(found) == sorted(large)


def test_the_export_is_read_in_parts_of_the_same_size(
    anna: Person, large: Posts, rows_read: list[int]
) -> None:
    exported = lines(anna.http.get("/auth/export").content)
    posts = [line for line in exported if line["type"] == "post"]
    assert {post["id"]: post["content"] for post in posts} == large
