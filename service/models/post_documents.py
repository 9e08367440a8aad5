"""The words of posts for full-text search, folded, in an FTS5 index or as a tsvector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from service.engine.database.distribution import spread
from service.engine.database.listing import MAX_READ_BYTES, bounded
from service.engine.database.statements import Prepared
from service.engine.database.transaction import Row, current, db
from service.engine.database.types import Id
from service.engine.work.greenlets import aside_if_long
from service.models.deletions import Deletion
from service.models.posts import Post, columns, shape
from service.models.users import User

SEARCH_TIMEOUT_SECONDS = 1.0


class Lexemes(sa.types.TypeDecorator[str]):
    """A `tsvector` on PostgreSQL, as `lexemes` writes it; NULL on SQLite."""

    impl = sa.Text().with_variant(postgresql.TSVECTOR(), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return value if dialect.name == "postgresql" else None


class PostDocument(db.Model):  # type: ignore[name-defined,misc] # made at run time
    __tablename__ = "post_documents"
    __table_args__ = (
        sa.Index(None, "lexemes", postgresql_using="gin").ddl_if(dialect="postgresql"),
    )

    id: Mapped[int] = mapped_column(
        sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True
    )
    post_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("posts.id", ondelete="CASCADE"), unique=True
    )
    words: Mapped[str] = mapped_column(sa.Text)
    lexemes: Mapped[str | None] = mapped_column(Lexemes)

    @classmethod
    def add(cls, post_id: str, words: str) -> None:
        """Index a new post by its words, as `domain.words.document` makes them."""
        _insert.write_later(post_id=post_id, words=words, lexemes=lexemes(words))

    @classmethod
    def replace(cls, post_id: str, words: str) -> None:
        """Index a changed post again."""
        _update.write(of=post_id, new=words, new_lexemes=lexemes(words))

    @classmethod
    def last_id(cls) -> int:
        """The highest id there is, or 0."""
        return int(_last.first()[0] or 0)  # type: ignore[index] # an aggregate has a row

    @classmethod
    def beginnings(cls, after: str, limit: int, length: int) -> list[tuple[str, str]]:
        """The next posts after the id `after`, each with the first `length` characters of its
        words."""
        return [(id_, words) for id_, words in _beginnings.all(after=after, limit=limit, n=length)]

    @classmethod
    def source(cls, post_id: str) -> Row | None:
        """The `words` of a document, and the post's `title` and `content`."""
        return _source.first(post=post_id)

    @classmethod
    def renew(cls, post_id: str, old: str, new: str) -> bool:
        """Index a post again; False if its document was changed or deleted meanwhile."""
        return _renew.write(of=post_id, old=old, new=new, new_lexemes=lexemes(new)) > 0

    @classmethod
    def matching(
        cls,
        *,
        fts5: str,
        tsquery: str,
        phrases: list[str],
        nots: list[str],
        limit: int,
        offset: int,
    ) -> list[tuple[dict[str, Any], float]]:
        """(Post, score) of the best matches, the highest score first.

        FTS5 takes the whole query as `fts5`. PostgreSQL takes the words as `tsquery` and then
        checks `phrases` and `nots` against the text, because a tsvector of a long text does not
        keep all positions. The results end with the post in which the contents add up to
        `MAX_READ_BYTES`, like a page of posts. Raises `Unavailable` after `SEARCH_TIMEOUT_SECONDS`.
        """
        page = {"limit": limit, "offset": offset}
        rows: list[Any]
        with current().limited(SEARCH_TIMEOUT_SECONDS):
            if current().dialect.name == "postgresql":
                rows = _tsvector_search.all(q=tsquery, phrases=phrases, nots=nots, **page)
            else:
                rows = list(_posts(_fts5_search.all(q=fts5, **page)))
        return [(shape(row), round(float(row[-1]), 6)) for row in rows]


spread(PostDocument.post_id)
_insert = Prepared(
    sa.insert(PostDocument).values(
        post_id=bindparam("post_id"), words=bindparam("words"), lexemes=bindparam("lexemes")
    )
)
_update = Prepared(
    sa.update(PostDocument)
    .where(PostDocument.post_id == bindparam("of"))
    .values(words=bindparam("new"), lexemes=bindparam("new_lexemes"))
)
_last = Prepared(sa.select(sa.func.max(PostDocument.id)))
_beginnings = Prepared(
    sa.select(
        PostDocument.post_id,
        sa.func.substr(PostDocument.words, 1, bindparam("n", type_=sa.Integer)),
    )
    .where(PostDocument.post_id > bindparam("after"))
    .order_by(PostDocument.post_id)
    .limit(bindparam("limit"))
)
_source = Prepared(
    sa.select(Post.title, Post.content, PostDocument.words)
    .join(Post, Post.id == PostDocument.post_id)
    .where(PostDocument.post_id == bindparam("post"))
)
_renew = Prepared(
    sa.update(PostDocument)
    .where(PostDocument.post_id == bindparam("of"), PostDocument.words == bindparam("old"))
    .values(words=bindparam("new"), lexemes=bindparam("new_lexemes"))
)


def _posts(hits: list[Row]) -> Iterator[tuple[Any, ...]]:
    """The posts of the documents, read one by one, each with its score."""
    left = MAX_READ_BYTES
    for hit in hits:
        if row := _post.first(row_id=hit.id):  # None if it was deleted meanwhile
            yield (*row, hit.score)
            left -= len(row.content)
            if left <= 0:
                return


def _is_there(post_id: Any) -> sa.ColumnElement[bool]:
    """Whether the author of a match is not deleted. A word may be in a million posts, so this is
    looked up only while there are accounts to remove."""
    author_is_there = (
        sa.select(User.deleted.is_(False))
        .join(Post, Post.author_id == User.id)
        .where(Post.id == post_id)
        .scalar_subquery()
    )
    return sa.or_(sa.not_(sa.exists(sa.select(Deletion.user_id))), author_is_there)


_post = Prepared(
    sa.select(*columns)
    .join(PostDocument, PostDocument.post_id == Post.id)
    .join(User, User.id == Post.author_id)
    .where(PostDocument.id == bindparam("row_id"), User.deleted.is_(False))
)
db.metadata.info.setdefault("virtual", []).append("post_search")
_index = sa.table("post_search", sa.column("rowid"), sa.column("rank", sa.Float))
_post_of_row = (
    sa.select(PostDocument.post_id)
    .where(PostDocument.id == _index.c.rowid)
    .correlate(_index)  # SQLAlchemy by itself correlates only with the next statement around it
    .scalar_subquery()
)
_fts5_search = Prepared(
    sa.select(_index.c.rowid.label("id"), (-_index.c.rank).label("score"))
    .where(sa.text("post_search MATCH :q").bindparams(bindparam("q", type_=sa.Text)))
    .where(_is_there(_post_of_row))
    .order_by(_index.c.rank, _index.c.rowid.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
_query = sa.cast(bindparam("q", type_=sa.Text), postgresql.TSQUERY)
_score = sa.func.ts_rank(PostDocument.lexemes, _query).label("score")
_text: sa.ColumnElement[str] = (
    sa.literal_column("' '") + PostDocument.words + sa.literal_column("' '")
)
_patterns = postgresql.ARRAY(sa.Text)
_hits = (
    sa.select(PostDocument.post_id, _score)
    .where(
        _is_there(PostDocument.post_id),
        PostDocument.lexemes.op("@@")(_query),
        _text.op("LIKE")(sa.func.all(bindparam("phrases", type_=_patterns))),
        sa.not_(
            _text.op("LIKE", is_comparison=True)(sa.func.any(bindparam("nots", type_=_patterns)))
        ),
    )
    .order_by(_score.desc(), PostDocument.post_id.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
    .subquery()
)
_tsvector_search = Prepared(
    bounded(
        sa.select(*columns, _hits.c.score)
        .select_from(_hits)
        .join(Post, Post.id == _hits.c.post_id)
        .join(User, User.id == Post.author_id),
        Post.content,
        _hits.c.score.desc(),
        _hits.c.post_id.desc(),
    )
)


def lexemes(words: str) -> str | None:
    """The words of a document as a `tsvector`, lexeme by lexeme, so that both databases index the
    same words; None on SQLite."""
    return aside_if_long(_tsvector, words) if current().dialect.name == "postgresql" else None


def _tsvector(words: str) -> str:
    positions: dict[str, list[str]] = {}
    for number, word in enumerate(words.split(" "), 1):
        # PostgreSQL stores positions up to 16383, and at most 256 for each word.
        positions.setdefault(word, []).append(str(number) if number < 16383 else "16383")
    return " ".join([f"'{word}':{','.join(at[:256])}" for word, at in positions.items() if word])
