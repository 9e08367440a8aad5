"""Pages of large items: each ends at about 1 MiB, and following the links gives everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from tests.engine.planner import models
from tests.kit.planning import Owner

LARGEST = 1024 * 1024
NOTES = {
    "bytes": "\U0001f9f6" * 99_990,  # 400 kB each
    "escapes": '"\\' * 49_990,  # 200 kB in JSON
    "controls": "a\x01" * 49_990,  # 350 kB in JSON
    "letters": "word " * 18_000,
}
Projects = dict[str, str]  # content by id


@pytest.fixture(params=NOTES)
def large(request: pytest.FixtureRequest, anna: Owner) -> Projects:
    """Thirteen projects of Anna, a small one between the large ones each time."""
    text = NOTES[request.param]
    notes = ["small", *[text, "small"] * 6]
    return {anna.project(str(n), c)["id"]: c for n, c in enumerate(notes)}


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the notes that came from the database."""
    sizes: list[int] = []

    def _shape(row: Any) -> dict[str, Any]:
        sizes.append(len(row[3]))
        return models.shape(row)

    monkeypatch.setattr(models.Project.listing, "_shape", _shape)
    return sizes


def pages(client: httpx.Client, path: str, **query: Any) -> Iterator[httpx.Response]:
    answer = client.get(path, params=query)
    yield answer
    while "next" in answer.links:
        answer = client.get(urljoin(str(answer.url), answer.links["next"]["url"]))
        yield answer


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("limit", [3, 100])
def test_following_the_links_visits_every_item(
    anna: Owner, large: Projects, rows_read: list[int], order: str, limit: int
) -> None:
    found: Projects = {}
    for page in pages(anna.http, "/projects", owner_id=anna.id, order=order, limit=limit):
        assert page.status_code == 200
        assert len(page.content) <= LARGEST + 2
        assert 1 <= len(page.json()) <= limit
        found |= {project["id"]: project["notes"] for project in page.json()}
        assert sum(rows_read) <= LARGEST + 100_000, "no more is read than the page and one row"
        rows_read.clear()
    expected = large if order == "oldest" else dict(reversed(large.items()))
    assert list(found.items()) == list(expected.items())


def test_an_item_that_is_too_large_by_itself_comes_alone(
    anna: Owner, large: Projects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.engine.spec.paging.MAX_PAGE_BYTES", 1000)
    found = [
        [project["id"] for project in page.json()]
        for page in pages(anna.http, "/projects", owner_id=anna.id)
    ]
    assert [id_ for page in found for id_ in page] == list(reversed(large))
    for page in found:
        assert len(page) == 1 or all(large[id_] == "small" for id_ in page)


def test_a_page_of_small_projects_is_as_long_as_asked_for(anna: Owner) -> None:
    for number in range(30):
        anna.project(f"n{number}", "x" * 1000)
    query = {"owner_id": anna.id, "limit": 30}
    answer = anna.http.get("/projects", params=query)
    assert len(answer.json()) == 30
    assert "Link" not in answer.headers
