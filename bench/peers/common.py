"""What the peers share: their tokens, and a database set up as SQLite needs it."""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from typing import Any

import jwt
import sqlalchemy as sa

ALGORITHM = "HS256"
LIFETIME = 86_400  # seconds
# More than there are clients: FastAPI's session keeps its connection while it waits for threads.
ENGINE_OPTIONS: dict[str, Any] = {"pool_size": 256, "max_overflow": 0}


def token(user_id: str, secret: str) -> str:
    """An access token of the peers; the last three claims are Flask-JWT-Extended's."""
    now = int(time.time())
    claims = {"sub": user_id, "iat": now, "exp": now + LIFETIME}
    more = {"jti": secrets.token_hex(16), "type": "access", "fresh": False}
    return jwt.encode(claims | more, secret, ALGORITHM)


def secret() -> str:
    return os.environ["BENCH_SECRET"]


def database_url() -> str:
    return f"sqlite:///{os.environ['BENCH_DATABASE']}"


def engine(**options: Any) -> sa.Engine:
    return sa.create_engine(database_url(), **ENGINE_OPTIONS, **options)


@sa.event.listens_for(sa.Engine, "connect")
def _open(connection: Any, _record: object) -> None:
    """What Byline tells SQLite too."""
    if not isinstance(connection, sqlite3.Connection):  # the benchmark itself asks PostgreSQL
        return
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "busy_timeout = 5000",
        "temp_store = MEMORY",
        "cache_size = -4000",
    ):
        connection.execute(f"PRAGMA {pragma}")
