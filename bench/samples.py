"""Operations of the service with parameters from a database, for any number of runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg

from service.caller import Caller
from service.domain import search
from service.domain.words import document, words
from service.engine.ids import first_id_from
from service.models import Credentials, Deletion, Post, PostDocument, Session, User

PAGE = 20
# The search with the partition key in its hits, which is used to find a hit's post.
KEYED = (
    ("SELECT post_documents.id AS id,", "SELECT post_documents.id AS id, post_id,"),
    (
        (
            "JOIN post_documents ON post_documents.id = anon_1.id"
            " JOIN posts ON posts.id = post_documents.post_id"
        ),
        "JOIN posts ON posts.id = anon_1.post_id",
    ),
)


@dataclass(frozen=True)
class Operation:
    """The calls to the models in one operation; `run` takes the number of the run.

    `instead` maps parts of its SQL to their replacements, to try out another statement.
    """

    name: str
    run: Callable[[int], Any]
    instead: tuple[tuple[str, str], ...] = ()


def operations(connection: psycopg.Connection[Any]) -> list[Operation]:
    """The operations, with rows that this reads in no particular order."""
    posts = _some(connection, "id, author_id, created_at", "posts", 1)
    users = _some(connection, "id, email", "users", 50)
    sessions = _some(connection, "id, user_id", "sessions", 5)

    def written(n: int) -> tuple[UUID, Caller]:
        return posts[n][0], _caller(posts[n][1])

    def of_a_day(n: int) -> Any:
        day = first_id_from(posts[n][2]), first_id_from(posts[n][2] + timedelta(days=1))
        return Post.listing(PAGE, later=day[0], earlier=day[1])

    def create(n: int) -> None:
        post = Post.create(_caller(posts[n][1]), 10**12, **_TEXT)
        PostDocument.add(post["id"], document(_TEXT["title"], words(_TEXT["content"])))

    def update(n: int) -> None:
        post_id, caller = written(n)
        Post.update(post_id, caller, None, _TEXT)
        PostDocument.replace(str(post_id), document(_TEXT["title"], words(_TEXT["content"])))

    def found(query: str) -> Any:
        return PostDocument.matching(**search.parse(query).terms(), limit=PAGE, offset=0)

    def rotate(n: int) -> None:
        session_id, user_id = map(str, sessions[n])
        caller = _caller(user_id)._replace(session_id=session_id)
        Session.rotate(caller, network="192.0.2.0/24", user_agent="")

    def remove(n: int) -> None:
        Deletion.begin(users[n][0], _caller(users[n][0]), None, name_rests=True)

    return [
        Operation("get_post", lambda n: Post.get(posts[n][0])),
        Operation("list_posts", lambda n: Post.listing(PAGE)),
        Operation("list_posts far down", lambda n: Post.listing(PAGE, after=posts[n][0])),
        Operation("list_posts of an author", lambda n: Post.listing(PAGE, author_id=posts[n][1])),
        Operation("list_posts of a day", of_a_day),
        Operation("create_post", create),
        Operation("update_post", update),
        Operation("delete_post", lambda n: Post.delete(*written(n), None)),
        Operation("search_posts, rare", lambda n: found(f"{n * 4111 + 7}")),
        Operation("search_posts, two words", lambda n: found("harbour violin")),
        Operation("session of a request", lambda n: Session.live(*map(str, sessions[n]))),
        Operation("refresh", rotate),
        Operation("logout", lambda n: Session.end(*map(str, sessions[n]))),
        Operation("login", lambda n: Credentials.of(users[n][1])),
        Operation("get_user", lambda n: User.profile(users[n][0])),
        Operation("delete_user", remove),
        Operation("search_posts, two words, by key", lambda n: found("harbour violin"), KEYED),
        Operation("search_posts, one word", lambda n: found("harbour")),
    ]


_TEXT = {"title": "Notes on tea", "content": "Warm the pot first, then wait."}


def _caller(user_id: UUID) -> Caller:
    return Caller(
        id=str(user_id),
        email="",
        username="",
        role="user",
        session_id="",
        session_end="",
    )


def _some(connection: psycopg.Connection[Any], columns: str, table: str, percent: int) -> list[Any]:
    return connection.execute(
        f"SELECT {columns} FROM {table} TABLESAMPLE SYSTEM ({percent}) ORDER BY random() LIMIT 100"
    ).fetchall()
