"""The statements that the four operations need, in SQLAlchemy Core, built at import.

Their functions give data in the shapes of Byline's specification.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from bench.peers import common, models
from service.domain.words import document, words
from service.engine.ids import created_at, new_id, now

Row = sa.Row[*tuple[Any, ...]]
_turn = threading.Lock()  # one queue for writers costs less than SQLite's own busy loop
_users, _sessions, _posts = (
    model.__table__ for model in (models.User, models.Session, models.Post)
)


def engine() -> sa.Engine:
    """An engine that begins no transactions: what reads is one by itself."""
    return common.engine(isolation_level="AUTOCOMMIT")


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction with SQLite's write lock from its start, committed at the end."""
    with _turn, engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("BEGIN IMMEDIATE")
        yield connection
        connection.commit()


def live(connection: sa.Connection, session_id: str, user_id: str) -> Row | None:
    """(email, username, role, version, expires_at), if session and user are good."""
    values = {"session_id": session_id, "user_id": user_id, "moment": now()}
    return connection.execute(_live, values).first()


def account(connection: sa.Connection, user_id: str) -> dict[str, Any] | None:
    row = connection.execute(_account, {"id": user_id}).first()
    return row._asdict() if row else None


def get_post(connection: sa.Connection, post_id: str) -> dict[str, Any] | None:
    row = connection.execute(_get, {"id": post_id}).first()
    return _shape(row) if row else None


def list_posts(connection: sa.Connection, limit: int, after: str | None) -> list[dict[str, Any]]:
    statement = _after if after else _newest
    return [_shape(row) for row in connection.execute(statement, {"limit": limit, "after": after})]


def create_post(
    connection: sa.Connection, author_id: str, username: str, title: str, content: str
) -> dict[str, Any]:
    """The new post, with its search document."""
    id_ = new_id()
    moment = created_at(id_)
    post = {"id": str(id_), "title": title, "content": content}
    times = {"created_at": moment, "updated_at": moment}
    connection.execute(_insert, {**post, **times, "author_id": author_id, "version": 1})
    found = document(title, words(content))
    connection.execute(_insert_document, {"post_id": post["id"], "words": found, "lexemes": None})
    return {**post, "author": {"id": author_id, "username": username}, **times}


_live = (
    sa.select(
        _users.c.email, _users.c.username, _users.c.role, _users.c.version, _sessions.c.expires_at
    )
    .join(_users, _users.c.id == _sessions.c.user_id)
    .where(
        _sessions.c.id == bindparam("session_id"),
        _sessions.c.user_id == bindparam("user_id"),
        _sessions.c.expires_at > bindparam("moment"),
        _users.c.disabled.is_(False),
    )
)
_account = sa.select(
    _users.c.id,
    _users.c.email,
    _users.c.email_verified,
    _users.c.username,
    _users.c.bio,
    _users.c.role,
    _users.c.disabled,
    _users.c.created_at,
    _users.c.updated_at,
).where(_users.c.id == bindparam("id"))
_post = sa.select(
    _posts.c.id,
    _posts.c.title,
    _posts.c.content,
    _posts.c.author_id,
    _users.c.username,
    _posts.c.created_at,
    _posts.c.updated_at,
).join(_users, _users.c.id == _posts.c.author_id)
_get = _post.where(_posts.c.id == bindparam("id"))
_newest = _post.order_by(_posts.c.id.desc()).limit(bindparam("limit"))
_after = _newest.where(_posts.c.id < bindparam("after"))
_insert = sa.insert(models.Post)
_insert_document = sa.insert(models.PostDocument).values(
    post_id=bindparam("post_id"), words=bindparam("words"), lexemes=bindparam("lexemes")
)


def _shape(row: Row) -> dict[str, Any]:
    id_, title, content, author_id, username, created, updated = row
    return {
        "id": id_,
        "title": title,
        "content": content,
        "author": {"id": author_id, "username": username},
        "created_at": created,
        "updated_at": updated,
    }
