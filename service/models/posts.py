"""Posts, each with its author embedded."""

from __future__ import annotations

from functools import partial, reduce
from operator import add
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.caller import Caller
from service.engine.database.distribution import spread
from service.engine.database.listing import Listing
from service.engine.database.owned import Owned
from service.engine.database.statements import Prepared, insertion
from service.engine.database.transaction import current, db
from service.engine.database.types import Id, Time
from service.engine.ids import created_at, new_id
from service.engine.problems import Forbidden, NotFound, PreconditionFailed, Problem
from service.models.ownership import Exported, declare
from service.models.storage import TAKE, Storage
from service.models.users import User

TEXTS = ("title", "content")  # the columns that count against USER_QUOTA


class Post(db.Model):  # type: ignore[name-defined,misc] # made at run time
    __tablename__ = "posts"
    __table_args__ = (sa.Index(None, "author_id", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    author_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(sa.String(200))
    content: Mapped[str] = mapped_column(sa.Text)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[str] = mapped_column(Time)
    updated_at: Mapped[str] = mapped_column(Time)

    @classmethod
    def create(cls, author: Caller, quota: int, *, title: str, content: str) -> dict[str, Any]:
        """The new Post, counted in what its author stores.

        Raises `QuotaExceeded`, or `SessionRevoked` when its author has just been deleted.
        """
        new = new_id()
        id_, moment = str(new), created_at(new)
        text = {"title": title, "content": content}
        times = {"created_at": moment, "updated_at": moment}
        row = {"id": id_, "author_id": author.id, "version": 1, **text, **times}
        storage = Storage(author.id, text_bytes(text))
        if current().dialect.name == "postgresql":  # which does both in one round trip
            _insert_counted.write_later(storage.check, **row, **storage.taking(quota))
        else:
            storage.take(quota)
            _insert.write(**row)
        return {
            "id": id_,
            **text,
            "author": {"id": author.id, "username": author.username},
            **times,
            "etag": f"{author.username}.1",
        }

    @classmethod
    def get(cls, post_id: UUID | str) -> dict[str, Any]:
        """The Post; raises `NotFound`."""
        row = _get.first(id=post_id)
        if row is None:
            raise NotFound
        return {**shape(row), "etag": f"{row.username}.{row.version}"}

    @classmethod
    def stored(cls, post_id: UUID) -> Storage | None:
        """The user against whose quota a post counts, and its size; locks the post."""
        row = _stored.first(id=post_id)
        return Storage(row.author_id, row.size) if row else None

    @classmethod
    def update(
        cls,
        post_id: UUID,
        caller: Caller,
        if_match: list[str] | None,
        changes: dict[str, Any],
    ) -> dict[str, Any]:
        """The changed Post; raises `NotFound`, `Forbidden` or `PreconditionFailed`."""
        if not _owned.update(post_id, caller, if_match, changes):
            raise _refused(post_id, caller)
        return cls.get(post_id)

    @classmethod
    def delete(cls, post_id: UUID, caller: Caller, if_match: list[str] | None) -> None:
        """Raises `NotFound`, `Forbidden` or `PreconditionFailed`."""
        if not _owned.delete(post_id, caller, if_match):
            raise _refused(post_id, caller)


spread(Post.id)


def text_bytes(post: dict[str, Any]) -> int:
    """What a post counts against USER_QUOTA; `_size` says the same in SQL."""
    return sum([len(post[name].encode()) for name in TEXTS])


def shape(row: tuple[Any, ...]) -> dict[str, Any]:
    """A row that starts with `columns` as the Post of the specification."""
    id_, title, content, author_id, username, created, updated = row[: len(columns)]
    return {
        "id": id_,
        "title": title,
        "content": content,
        "author": {"id": author_id, "username": username},
        "created_at": created,
        "updated_at": updated,
    }


columns = (
    Post.id,
    Post.title,
    Post.content,
    Post.author_id,
    User.username,
    Post.created_at,
    Post.updated_at,
)

_hidden = sa.type_coerce(User.deleted, sa.Integer).label("hidden")  # needs no conversion
Post.listing = Listing(
    sa.select(*columns, _hidden).join(User, User.id == Post.author_id),
    key=Post.id,
    shape=shape,
    bulk=Post.content,
    hidden=_hidden,
    hidden_together="author_id",
    author_id=Post.author_id == bindparam("author_id"),
    later=Post.id >= bindparam("later"),
    earlier=Post.id < bindparam("earlier"),
)

_insert = insertion(Post)
_insert_counted = insertion(Post, where=TAKE.returning(User.id).cte("counted"))
_get = Prepared(
    sa.select(*columns, Post.version)
    .join(User, User.id == Post.author_id)
    .where(Post.id == bindparam("id"), User.deleted.is_(False))
)
_size = reduce(add, [sa.func.octet_length(Post.__table__.c[name]) for name in TEXTS])
_stored = Prepared(
    sa.select(Post.author_id, _size.label("size"))
    .where(Post.id == bindparam("id"))
    .with_for_update()
)
declare(
    Post.author_id,
    export=Exported("post", lambda caller: partial(Post.listing, author_id=caller.id)),
    size=_size,
)
_author = sa.select(User.username).where(User.id == Post.author_id).correlate(Post)
_owned = Owned(
    Post,
    owner=Post.author_id,
    # The author's name is part of the post, and so of its tag. The author's version must not be: it
    # tells everybody what happens to the account.
    etag=_author.scalar_subquery() + "." + sa.cast(Post.version, sa.String),
    exists=_author.where(User.deleted.is_(False)).exists(),
)


def _refused(post_id: UUID, caller: Caller) -> Problem:
    row = _get.first(id=post_id)
    if row is None:
        return NotFound()
    if not caller.is_admin and row.author_id != caller.id:
        return Forbidden()
    return PreconditionFailed()
