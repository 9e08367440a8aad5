"""Ten million posts in PostgreSQL: in one table, and in partitions by three different keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise

import psycopg

from service import demo, demo_posts, migrations
from service.engine.database.transaction import db
from service.engine.ids import first_id_from
from service.flask_app import create_flask
from service.settings import Settings

POOL = 50_000  # posts of `byline demo`, whose texts are used, each with its own number
SESSIONS = 10  # of each user
SPAN = timedelta(days=360)
PARTITIONS = 16  # by hash; by time there are twelve


@dataclass(frozen=True)
class Layout:
    """A layout of the tables, in a PostgreSQL schema of this name; other tables stay as they were.

    `partitioned` maps a table to its kind of partitions, their column, and the primary key that it
    can then have; `indexes` are its other indexes, `parents` the foreign keys that it can have.
    """

    name: str
    partitioned: dict[str, tuple[str, str, str]]
    indexes: tuple[str, ...]
    parents: tuple[tuple[str, str, str], ...]


_USERS = {
    "users": ("HASH", "id", "id"),
    "sessions": ("HASH", "user_id", "user_id, id"),
}
_OF_USERS = (
    "{}.users (email)",
    "{}.users (username)",
    "{}.sessions (user_id)",
    "{}.sessions (id)",
    "{}.sessions (expires_at)",
)
_OF_DOCUMENTS = ("{}.post_documents (id)", "{}.post_documents USING gin (lexemes)")
_TO_USERS = (("sessions", "user_id", "users (id)"), ("posts", "author_id", "users (id)"))
_TO_POSTS = (("post_documents", "post_id", "posts (id)"),)

ONE_TABLE = Layout("public", {}, (), ())
LAYOUTS = (
    ONE_TABLE,
    Layout(
        "by_author",
        {**_USERS, "posts": ("HASH", "author_id", "author_id, id")},
        (*_OF_USERS, "{}.posts (id)"),
        _TO_USERS,
    ),
    Layout(
        "by_id",
        {
            **_USERS,
            "posts": ("HASH", "id", "id"),
            "post_documents": ("HASH", "post_id", "post_id"),
        },
        (*_OF_USERS, "{}.posts (author_id, id)", *_OF_DOCUMENTS),
        (*_TO_USERS, *_TO_POSTS),
    ),
    Layout(
        "by_time",
        {"posts": ("RANGE", "id", "id"), "post_documents": ("RANGE", "post_id", "post_id")},
        ("{}.posts (author_id, id)", *_OF_DOCUMENTS),
        (("posts", "author_id", "public.users (id)"), *_TO_POSTS),
    ),
)


def load(url: str, users: int, posts: int) -> Iterator[str]:
    """Migrate an empty database and fill it; yields each step."""
    yield f"{users} users"
    app = create_flask(Settings(_env_file=None, database_url=url))
    with app.app_context():
        migrations.upgrade(db.engine)
        deque(chain(demo.fill(users), demo_posts.fill(POOL)), maxlen=0)
        db.engine.dispose()
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _before_loading():
            connection.execute(statement)
        yield f"{users * SESSIONS} sessions"
        connection.execute(_SESSIONS, {"each": SESSIONS, "start": _start()})
        yield f"{posts} posts"
        connection.execute(_POSTS, {"posts": posts, "start": _start(), "step": _step(posts)})
        yield "their search documents"
        connection.execute(_DOCUMENTS)
        yield "their index"
        connection.execute(
            "CREATE INDEX ix_post_documents_lexemes ON post_documents USING gin (lexemes)"
        )
        connection.execute("DROP TABLE pool, authors")
        connection.execute("VACUUM ANALYZE")


def arrange(url: str, layout: Layout) -> Iterator[str]:
    """Copy the tables of `public` into the partitions of a layout; yields each step."""
    name = layout.name
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(f"CREATE SCHEMA {name}")
        for table, (kind, column, key) in layout.partitioned.items():
            yield f"{name}: {table}"
            whole = f"{name}.{table}"
            connection.execute(
                f"CREATE TABLE {whole} (LIKE {table} INCLUDING DEFAULTS)"
                f" PARTITION BY {kind} ({column})"
            )
            for number, bounds in enumerate(_bounds(kind)):
                connection.execute(
                    f"CREATE TABLE {whole}_{number} PARTITION OF {whole} FOR VALUES {bounds}"
                )
            connection.execute(f"INSERT INTO {whole} SELECT * FROM public.{table}")
            connection.execute(f"ALTER TABLE {whole} ADD PRIMARY KEY ({key})")
        for index in layout.indexes:
            yield f"{name}: index on {index.format(name)}"
            connection.execute(f"CREATE INDEX ON {index.format(name)}")
        for table, column, parent in layout.parents:
            target = parent if "." in parent else f"{name}.{parent}"
            connection.execute(
                f"ALTER TABLE {name}.{table} ADD FOREIGN KEY ({column}) REFERENCES {target}"
                " ON DELETE CASCADE NOT VALID"
            )
        yield f"{name}: statistics"
        for table in layout.partitioned:
            connection.execute(f"VACUUM ANALYZE {name}.{table}")


def _bounds(kind: str) -> list[str]:
    if kind == "HASH":
        return [f"WITH (MODULUS {PARTITIONS}, REMAINDER {n})" for n in range(PARTITIONS)]
    months = [datetime.fromtimestamp(_start() / 1000, UTC) + SPAN / 12 * n for n in range(1, 12)]
    between = [f"'{first_id_from(month)}'" for month in months]
    edges = ["MINVALUE", *between, "MAXVALUE"]
    return [f"FROM ({low}) TO ({high})" for low, high in pairwise(edges)]


def _start() -> int:
    """When the first post was written, in milliseconds: midnight, so that all runs agree."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return int((today - SPAN).timestamp() * 1000)


def _step(posts: int) -> float:
    return SPAN.total_seconds() * 1000 / posts


def _before_loading() -> list[str]:
    return [
        "SET session_replication_role = replica",  # skips the checks of foreign keys while loading
        "DROP INDEX ix_post_documents_lexemes",
        """CREATE TABLE pool AS SELECT row_number() OVER () - 1 AS n, title, content, words, lexemes
        FROM posts JOIN post_documents ON post_id = posts.id WHERE length(content) < 260""",
        "ALTER TABLE pool ADD PRIMARY KEY (n)",
        "CREATE TABLE authors AS SELECT row_number() OVER (ORDER BY id) - 1 AS n, id FROM users",
        "ALTER TABLE authors ADD PRIMARY KEY (n)",
        "TRUNCATE posts, post_documents",
        "ANALYZE",
    ]


# A UUIDv7 for a moment in milliseconds.
_ID = """(lpad(to_hex({moment}), 12, '0') || '7' || substr(md5(random()::text), 1, 3)
    || '8' || substr(md5(random()::text), 1, 15))::uuid"""
_SESSIONS = f"""
INSERT INTO sessions
SELECT {_ID.format(moment="(%(start)s + random() * 31104000000)::bigint")}, id, 0, '192.0.2.1',
    'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    now(), now(), now() + interval '90 days'
FROM authors, generate_series(1, %(each)s)
"""
# Few users write much, and many write little. A hundred of ten million posts share the last number.
_POSTS = f"""
WITH rows AS MATERIALIZED (
    SELECT n, %(start)s::bigint + (n * %(step)s::float)::bigint AS ms,
        floor(power(random(), 2) * (SELECT count(*) FROM authors))::bigint AS author
    FROM generate_series(0, %(posts)s::bigint - 1) AS n
)
INSERT INTO posts
SELECT {_ID.format(moment="ms")}, authors.id, pool.title,
    pool.content || ' No. ' || rows.n %% 99991, 1,
    to_timestamp(ms / 1000.0), to_timestamp(ms / 1000.0)
FROM rows JOIN authors ON authors.n = rows.author
JOIN pool ON pool.n = rows.n %% (SELECT count(*) FROM pool)
ORDER BY rows.n
"""
_DOCUMENTS = """
INSERT INTO post_documents (post_id, words, lexemes)
SELECT numbered.id, pool.words || ' no ' || numbered.n % 99991,
    pool.lexemes || format('''no'':1 ''%s'':2', numbered.n % 99991)::tsvector
FROM (SELECT row_number() OVER (ORDER BY id) - 1 AS n, id FROM posts) AS numbered
JOIN pool ON pool.n = numbered.n % (SELECT count(*) FROM pool)
ORDER BY numbered.n
"""
