"""Posts that hold all there is room for."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tests.kit.attack import Attack, on
from tests.kit.serving import PASSWORD, Person, Server

pytestmark = on("sqlite")


@pytest.fixture(scope="module")
def author(server: Server) -> Person:
    return server.sign_up()


@pytest.fixture
def attack(server: Server) -> Attack:
    return Attack(server)


def test_a_field_of_the_maximum_length_is_accepted(attack: Attack, author: Person) -> None:
    # 100 000 characters of each kind: kept, listed, searched, changed.
    word = f"w{secrets.token_hex(8)}"
    for filler in ("\U0001f9f6", "\ufdfa", "a ", "-\u0301", "<", "\\", "\u202e"):
        # In front, for what folds to more than 200 000 characters is not indexed to its end.
        content = f"{word} " + (filler * 100_000)[: 100_000 - len(word) - 1]
        made = attack(
            "POST", "/api/posts", 201, token=author, json={"title": "x", "content": content}
        )
        assert made.json()["content"] == content
    found: list[Any] = []  # by several answers, for each ends at about 1 MiB
    while len(found) < 7:
        params = {"q": word, "offset": len(found)}
        results = attack("GET", "/api/search", 200, params=params).json()["results"]
        assert results
        found += results
    assert len({result["post"]["id"] for result in found}) == len(found) == 7
    assert PASSWORD not in str(found)
