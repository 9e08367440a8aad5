"""Clients go on working when the service is newer than they are."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit.generated_clients import node
from tests.kit.newer import FIELD, WORD, Newer
from tests.kit.serving import PASSWORD, Server

HERE = Path(__file__).parent
TITLES = ["Third", "Second", "First"]


@pytest.fixture
def newer(serve: Callable[..., Server]) -> Server:
    return serve(around=Newer)


def test_the_python_client_works_with_a_newer_service(
    newer: Server, clients: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(clients / "site")
    import byline_client

    email = f"{secrets.token_hex(6)}@example.com"
    with byline_client.Byline(newer.url) as byline:
        account = byline.auth.register(email=email, password=PASSWORD)
        assert account.role == WORD
        byline.sign_in(email, PASSWORD)
        posts = [byline.posts.create(title=title, content="Warm.") for title in TITLES[::-1]]
        assert {name: posts[0][name] for name in FIELD} == FIELD
        found = byline.posts.list(author_id=account.id, limit=1)  # next to links of other kinds
        assert [post.title for post in found] == TITLES
        assert byline.posts.update(posts[0], title="Green tea").title == "Green tea"
        assert {event.action for event in byline.audit.list()} == {WORD}
        lines = list(byline.auth.export())
        assert len([line for line in lines if line["type"] == WORD]) == 1
        with pytest.raises(byline_client.ApiError) as refused:
            byline.posts.get(account.id)
        assert type(refused.value) is byline_client.ApiError
        assert refused.value.code == WORD


def test_the_typescript_client_works_with_a_newer_service(newer: Server, clients: Path) -> None:
    program = clients / "older.mjs"
    program.write_text((HERE / "older.mjs").read_text())
    email = f"{secrets.token_hex(6)}@example.com"

    told: Any = json.loads(node(program, newer.url, email, PASSWORD))

    assert told == {
        "role": WORD,
        "field": FIELD["of_tomorrow"],
        "titles": TITLES,
        "changed": "Green tea",
        "actions": [WORD],
        "newLines": 1,
        "refused": ["ApiError", WORD],
    }
