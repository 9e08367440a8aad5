"""The search index of posts follows their documents, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from service import demo, demo_posts, migrations
from service.engine.database.transaction import db
from service.flask_app import create_flask
from service.models import PostDocument
from service.settings import Settings
from tests.kit import postgres


@pytest.fixture
def search(tmp_path: Path) -> Iterator[sa.Connection]:
    """A connection to an SQLite database with three posts in the index."""
    url = f"sqlite:///{tmp_path}/instance/byline.db"
    with create_flask(Settings(_env_file=None, database_url=url)).app_context():
        migrations.upgrade(db.engine)
        list(demo.fill(1))
        list(demo_posts.fill(3))
        with db.transaction() as transaction:
            yield transaction.connection()
        db.engine.dispose()


def test_the_search_index_of_postgresql_is_a_gin():
    with create_flask(Settings(_env_file=None, database_url=postgres.start())).app_context():
        migrations.upgrade(db.engine)
        with db.engine.connect() as connection:
            index = connection.exec_driver_sql(
                "SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_post_documents_lexemes'"
            ).scalar_one()
            connection.exec_driver_sql("DROP INDEX ix_post_documents_lexemes")
            connection.commit()
        assert "USING gin (lexemes)" in index
        assert migrations.check(db.engine) == ["add_index ix_post_documents_lexemes"]
        db.engine.dispose()


def test_an_inserted_post_is_found(search):
    assert _in_step(search) == 3


def test_a_changed_post_is_found_by_its_new_words_only(search):
    search.execute(sa.update(PostDocument).values(words="nothing but zebras"))

    assert _in_step(search) == 3
    assert _hits(search, "zebras") == 3
    search.execute(sa.update(PostDocument).values(words="giraffes"))
    assert _hits(search, "zebras") == 0


@pytest.mark.parametrize("table", ["post_documents", "posts", "users"])
def test_deleted_rows_leave_the_search_index_even_by_cascade(search, table):
    search.execute(sa.update(PostDocument).values(words="zebras"))
    search.exec_driver_sql(f"DELETE FROM {table}")

    assert _in_step(search) == 0
    assert _hits(search, "zebras") == 0


def _in_step(connection: sa.Connection) -> int:
    """How many documents there are; raises DatabaseError unless the index is made of them."""
    connection.exec_driver_sql(
        "INSERT INTO post_search (post_search, rank) VALUES ('integrity-check', 1)"
    )
    return connection.exec_driver_sql("SELECT count(*) FROM post_documents").scalar_one()


def _hits(connection: sa.Connection, word: str) -> int:
    return connection.exec_driver_sql(
        "SELECT count(*) FROM post_search WHERE post_search MATCH ?", (word,)
    ).scalar_one()
