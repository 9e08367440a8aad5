"""Creates plausible posts in bulk, by the users of `demo`."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service.demo import SPAN, WORDS, dice, ids_from, insert, present, text
from service.domain.words import index_text
from service.engine.database.transaction import db
from service.engine.ids import created_at
from service.engine.problems import InvalidRequest
from service.models import Post, PostDocument
from service.models.post_documents import lexemes
from service.models.posts import text_bytes
from service.models.storage import add_all


def fill(posts: int) -> Iterator[int]:
    """Add this many posts; yields the number of rows of each committed batch.

    Needs an application context; raises `InvalidRequest` if there are no users.
    """
    if not posts:
        return
    authors = sorted(present())
    if not authors:
        raise InvalidRequest("Posts need authors: ask for users too.")
    # No post is older than the oldest user.
    moment = datetime.now(UTC)
    first = datetime.fromisoformat(created_at(UUID(authors[0])))
    texts = (_post(id_, authors) for id_ in ids_from(posts, max(first, moment - SPAN), moment))
    sizes: list[tuple[str, int]] = []

    def tables(batch: list[dict[str, Any]]) -> list[tuple[Any, list[dict[str, Any]]]]:
        sizes.extend((p["author_id"], text_bytes(p)) for p in batch)
        return [(Post, batch), (PostDocument, _documents(batch))]

    yield from insert(texts, tables)
    with db.transaction() as transaction:
        add_all(sizes)
        transaction.commit()


def _post(id_: UUID, authors: list[str]) -> dict[str, Any]:
    moment = created_at(id_)
    known = max(bisect(authors, str(id_)), 1)
    return {
        "id": str(id_),
        "author_id": authors[dice.randrange(known)],
        "title": text("{title}"),
        "content": _content(),
        "version": 1,
        "created_at": moment,
        "updated_at": moment,
    }


def _content() -> str:
    sentences = dice.choices(WORDS["sentence"], k=dice.randrange(2, 9))
    breaks = dice.choices([" ", " ", "\n\n"], k=len(sentences))
    return text("".join(map("".join, zip(breaks, sentences, strict=True))).lstrip())


def _documents(posts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"post_id": post["id"], "words": words, "lexemes": lexemes(words)}
        for post in posts
        for words in [index_text(post["title"], post["content"])]
    ]
