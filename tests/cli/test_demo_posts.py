"""Posts among the demo data, and `byline db reindex`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from service.domain.words import document, words
from service.engine.ids import created_at, now, rfc3339
from service.models import Post, PostDocument, User
from tests.kit.commands import execute, rows


def test_demo_adds_posts_and_users(anywhere):
    for users, posts in ((3, 20), (2, 10), (0, 5)):
        ended = anywhere(f"demo --yes --users {users} --posts {posts}")
        assert ended.output == f"Added {users} users and {posts} posts.\n"

    assert len(rows(sa.select(User))) == 5
    assert len(rows(sa.select(Post))) == len(rows(sa.select(PostDocument))) == 35


def test_demo_posts_agree_with_themselves_and_their_authors(anywhere):
    anywhere("demo --yes --users 5 --posts 50")

    year = rfc3339(datetime.now(UTC) - timedelta(days=366))
    for thing in rows(sa.select(Post)):
        assert year < thing.created_at == thing.updated_at <= now()
        assert created_at(UUID(thing.id)) == thing.created_at
    assert all(post.author_id < post.id for post in rows(sa.select(Post)))


def test_demo_posts_are_indexed_as_those_of_the_api(upgraded):
    upgraded("demo --users 1 --posts 20")

    joined = sa.select(Post.title, Post.content, PostDocument.words).join(
        PostDocument, PostDocument.post_id == Post.id
    )
    assert all(document(post.title, words(post.content)) == post.words for post in rows(joined))


def test_reindex_renews_the_documents_of_older_versions(anywhere):
    anywhere("demo --yes --users 1 --posts 20")
    joined = sa.select(Post.title, Post.content, PostDocument.words).join(
        PostDocument, PostDocument.post_id == Post.id
    )
    execute(sa.update(PostDocument).values(words="of old", lexemes="of old"))

    assert anywhere("db reindex").output == "Reindexed 20 posts.\n"
    assert all(document(post.title, words(post.content)) == post.words for post in rows(joined))
    assert anywhere("db reindex").output == "Reindexed 0 posts.\n"


def test_demo_posts_need_an_author(upgraded):
    ended = upgraded("demo --users 0 --posts 1")

    assert ended.exit_code == 1
    assert "ask for users too" in ended.output
