"""The databases for all contenders: the output of `byline demo`, and a deep one."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from bench import byline
from bench.peers.check import asked
from bench.processes import serving

PASSWORD = "demo-password"
WRITER = 10  # one of so many posts in the deep database is by its first user
OCCASIONAL = 1000  # and one of so many by its second


@dataclass(frozen=True)
class Data:
    """A database with a signed-in user, and the keys that sign tokens for it."""

    url: str  # that of the database
    keys: Path
    key_set: str  # the public halves of the keys, as JSON (RFC 7517, section 5)
    secret: str  # signs the peers' own tokens
    user_id: str
    token: str
    post_id: str

    @property
    def settings(self) -> dict[str, str]:
        """What the peers are told, in the environment."""
        return {
            "BENCH_SECRET": self.secret,
            "BENCH_KEYS": str(self.keys),
            "BENCH_KEY_SET": self.key_set,
        }


def sign_in(url: str, email: str) -> str:
    """An access token."""
    body = {"email": email, "password": PASSWORD}
    return asked(url, "/auth/login", body=body).data["access_token"]


def demo(folder: Path, url: str, users: int, posts: int) -> Data:
    """The output of `byline demo` in an empty database; nothing is connected to it afterwards."""
    keys = folder / "keys"
    environment = _filled(folder, url, keys, users, posts)
    with serving(byline.serve, folder, environment) as server:
        token = sign_in(server.url, "user1@example.com")
        user = asked(server.url, "/auth/me", token).data
        key_set = json.dumps(asked(server.url, "/.well-known/jwks.json").data)
    driver = url.replace("postgresql:", "postgresql+psycopg:")
    engine = sa.create_engine(driver, poolclass=sa.NullPool)
    with engine.connect() as connection:
        middle = sa.text("SELECT id FROM posts ORDER BY id LIMIT 1 OFFSET :half")
        post_id = str(connection.scalar(middle, {"half": posts // 2}))
    return Data(url, keys, key_set, secrets.token_hex(32), user["id"], token, post_id)


def deep(folder: Path, depth: int) -> Path:
    """A database with over `depth` posts of the same size, so that all pages have the same size.

    One in `WRITER` is by user1@example.com, one in `OCCASIONAL` by user2@example.com.
    """
    database = folder / "deep.db"
    _filled(folder, sqlite(database), folder / "keys", users=1000, posts=0)
    values = {
        "posts": depth + 100,
        "depth": depth,
        "start": int(time.time() - depth - 100) * 1000,
        "content": "A post like all the others. " * 12,
        "writer": WRITER,
        "occasional": OCCASIONAL,
    }
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TEMP TABLE authors AS SELECT id FROM users ORDER BY rowid")
        connection.execute(_POSTS, values)
    return database


def at_depth(database: Path, depth: int) -> str:
    """The id of the post after which the page at this depth starts."""
    with closing(sqlite3.connect(database)) as connection:
        statement = "SELECT id FROM posts ORDER BY id DESC LIMIT 1 OFFSET ?"
        return connection.execute(statement, [depth - 1]).fetchone()[0]


def sqlite(database: Path) -> str:
    return f"sqlite:///{database}"


def _filled(folder: Path, url: str, keys: Path, users: int, posts: int) -> dict[str, str]:
    environment = byline.as_in_production(url, keys)
    if not keys.exists():
        byline.run(folder, environment, "keys", "generate")
    byline.run(folder, environment, "db", "upgrade")
    byline.run(folder, environment, "demo", "--yes", "--users", str(users), "--posts", str(posts))
    return environment


# One post a second; its id is a UUIDv7 of that moment.
_POSTS = """
WITH RECURSIVE
numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :posts),
moments AS (SELECT n, :start + n * 1000 AS ms FROM numbers),
dated AS (SELECT *, strftime('%Y-%m-%dT%H:%M:%fZ', ms / 1000.0, 'unixepoch') AS moment FROM moments)
INSERT INTO posts (id, author_id, title, content, version, created_at, updated_at)
SELECT printf('%08x-%04x-7000-8000-%012x', ms >> 16, ms & 65535, n), authors.id,
    printf('Post %07d', n), :content, 1, moment, moment
FROM dated JOIN authors ON authors.rowid = CASE
    WHEN n < :depth AND n % :writer = 0 THEN 1
    WHEN n < :depth AND n % :occasional = 1 THEN 2
    ELSE 3 + n % 900
END
"""
