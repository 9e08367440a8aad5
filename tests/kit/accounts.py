"""Common requests and assertions in the tests of users."""

from __future__ import annotations

import secrets
from typing import Any

import httpx

from service.engine.spec.paging import MAX_PAGE_BYTES
from tests.kit.serving import Person

ANY = {"If-Match": "*"}


def name() -> str:
    return secrets.token_hex(6)


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def patch(http: httpx.Client, person: Person, **changes: Any) -> httpx.Response:
    return http.patch(f"/api/users/{person.id}", json=changes, headers=ANY)


def etag(person: Person) -> str:
    return person.http.get("/auth/me").headers["etag"]


def listed(http: httpx.Client, path: str, **query: Any) -> list[dict[str, Any]]:
    """The items of all pages."""
    items = []
    answer = http.get(path, params=query)
    while True:
        assert answer.status_code == 200, answer.text
        assert len(answer.json()) <= query.get("limit", 20)
        items += answer.json()
        if "next" not in answer.links:
            return items
        # A page that is not full is large: other tests have written long posts.
        is_full = len(answer.json()) == query.get("limit", 20)
        assert is_full or len(answer.content) > MAX_PAGE_BYTES // 2
        answer = http.get(answer.links["next"]["url"])
