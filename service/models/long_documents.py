"""Shortens search documents that SQLite would take too long to remove at once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from service.engine.database.transaction import connection, db
from service.models.ownership import Keys, piecemeal_on_sqlite
from service.models.post_documents import PostDocument
from service.models.posts import Post

CUT_CHARACTERS = 2000  # of a document, removed in one statement
DOCUMENTS_READ_AHEAD = 100  # documents that are read ahead, without a lock


class LongDocuments:
    """The long documents of an account on SQLite.

    FTS5 takes about a microsecond for each word that it forgets, and a document may have a hundred
    thousand. A document that ends with a space is being removed: see posts_0002.
    """

    def keys(self, user_id: str, after: tuple[Any, ...] | None) -> Keys:
        """The next posts in the order of removal, newest first, each once for every cut that its
        document needs; reads without a lock."""
        following = _long if after is None else _long.where(Post.id < after[0])
        with db.transaction(writes=False):
            found = connection().execute(following, {"user": user_id})
            return [(row.post_id,) for row in found for _ in range(row.length // CUT_CHARACTERS)]

    def remove(self, keys: Keys) -> None:
        """Shorten the document of each post by as many cuts as there are keys of it."""
        for (post_id,), cuts in Counter(keys).items():
            words = connection().scalar(_words, {"post": post_id}) or ""
            end = words.rfind(" ", 0, max(0, len(words) - cuts * CUT_CHARACTERS)) + 1
            connection().execute(_shorten, {"post": post_id, "rest": words[:end]})


piecemeal_on_sqlite.append(LongDocuments())
_length = sa.func.length(PostDocument.words).label("length")
_long = (
    sa.select(PostDocument.post_id, _length)
    .join(Post, Post.id == PostDocument.post_id)
    .where(Post.author_id == bindparam("user"), _length > CUT_CHARACTERS)
    .order_by(Post.id.desc())
    .limit(DOCUMENTS_READ_AHEAD)
)
_words = sa.select(PostDocument.words).where(PostDocument.post_id == bindparam("post"))
_shorten = (
    sa.update(PostDocument)
    .where(PostDocument.post_id == bindparam("post"))
    .values(words=bindparam("rest"))
)
