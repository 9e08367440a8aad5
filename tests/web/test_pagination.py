"""Pages of users: following the links visits each once (more in engine/test_pagination)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from tests.kit.serving import Person, Server


@pytest.mark.parametrize("path", ["/api/users", "/api/accounts"])
def test_every_user_is_on_one_page(server: Server, admin: Person, path: str) -> None:
    people = [server.sign_up() for _ in range(5)]
    answer = admin.http.get(path, params={"limit": 3})
    walk = [item["id"] for item in answer.json()]
    while "next" in answer.links:
        answer = admin.http.get(urljoin(str(answer.url), answer.links["next"]["url"]))
        walk += [item["id"] for item in answer.json()]
    assert walk[:5] == [person.id for person in reversed(people)]
    assert walk == sorted(walk, reverse=True)
    assert len(walk) == len(set(walk))


@pytest.mark.parametrize(
    "wrong",
    [{"limit": "0"}, {"limit": "101"}, {"limit": "05"}, {"after": "1"}, {"page": "2"}],
)
def test_an_impossible_page_is_refused(anonymous: httpx.Client, wrong: dict[str, Any]) -> None:
    answer = anonymous.get("/api/users", params=wrong)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")
    assert {error["pointer"] for error in answer.json()["errors"]} == set(wrong)
