"""Posts inserted in bulk, and posts that are found by the searches of one test only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert

from service.engine.ids import created_at, new_id
from service.models import Post
from tests.kit.serving import Person


@dataclass
class Corpus:
    """Posts that all contain a word which the posts of other tests do not have."""

    word: str
    author: Person
    posts: dict[str, str]

    def ask(self, query: str, **more: Any) -> list[dict[str, Any]]:
        """The results of a query to which the word of this corpus is added."""
        answer = self.author.http.get("/api/search", params={"q": f"{query} {self.word}", **more})
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    def found(self, query: str) -> set[str]:
        """The titles that a query finds."""
        return {result["post"]["title"].split()[0] for result in self.ask(query, limit=50)}


def give_posts(person: Person, contents: list[str]) -> None:
    """Insert posts with these contents, in bulk and without the search index."""
    rows = []
    for content in contents:
        id_ = new_id()
        times = dict.fromkeys(("created_at", "updated_at"), created_at(id_))
        text = {"title": f"Of {len(content)} characters", "content": content}
        rows.append({"id": str(id_), "author_id": person.id, "version": 1, **text, **times})
    person.server.execute(insert(Post), rows)


Write = Callable[[dict[str, str]], Corpus]
