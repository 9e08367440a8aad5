"""How many bytes of disk a row of each kind takes, including its share of all indexes."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import sqlalchemy as sa

from service import demo, demo_posts, migrations
from service.engine.database.transaction import connection, db
from service.engine.ids import new_id, rfc3339
from service.flask_app import create_flask
from service.models import AuditEvent, IdempotencyKey, Session, User
from service.settings import Settings

BATCH = 5000
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
Row = dict[str, Any]


def bytes_per_row(url: str, rows: int) -> dict[str, float]:
    """Fill a new database with so many rows of each kind, one kind at a time."""
    app = create_flask(Settings(_env_file=None, database_url=url))
    with app.app_context():
        migrations.upgrade(db.engine)
        found = {}
        for name, fill_in in _kinds(rows).items():
            before = _size(url)
            fill_in()
            found[name] = round((_size(url) - before) / rows)
        db.engine.dispose()
    return found


def _kinds(rows: int) -> dict[str, Callable[[], object]]:
    return {
        "user": lambda: deque(demo.fill(rows), maxlen=0),
        "post, with its search document": lambda: deque(demo_posts.fill(rows), maxlen=0),
        "session": lambda: _insert(Session, rows, _session),
        "audit event": lambda: _insert(AuditEvent, rows, _event),
        "answer under an Idempotency-Key": lambda: _insert(IdempotencyKey, rows, _answer),
    }


def _insert(model: Any, rows: int, row: Callable[[str], Row]) -> None:
    with db.transaction(writes=False):
        users = list(connection().scalars(sa.select(User.id)))
    made = (row(users[number % len(users)]) for number in range(rows))
    for _ in range(0, rows, BATCH):
        batch = [next(made) for _ in range(min(BATCH, rows))]
        with db.transaction() as transaction:
            connection().execute(sa.insert(model), batch)
            transaction.commit()


def _session(user: str) -> Row:
    moment = rfc3339(datetime.now(UTC))
    return {
        "id": new_id(),
        "user_id": user,
        "generation": 0,
        "ip": "192.0.2.123",
        "user_agent": AGENT,
        "created_at": moment,
        "last_used_at": moment,
        "expires_at": rfc3339(datetime.now(UTC) + timedelta(days=90)),
    }


def _event(user: str) -> Row:
    return {
        "id": new_id(),
        "action": "login",
        "actor_id": user,
        "user_id": user,
        "ip": "192.0.2.123",
    }


def _answer(user: str) -> Row:
    return {
        "user_id": user,
        "operation": "create_post",
        "key": str(new_id()),
        "fingerprint": "0" * 64,
        "status": 201,
        "headers": '{"Location": "/api/posts/00000000-0000-7000-8000-000000000000"}',
        "body": b"x" * 600,
        "expires_at": rfc3339(datetime.now(UTC) + timedelta(days=1)),
    }


def _size(url: str) -> int:
    """The size of the database in bytes, after pending index entries are merged."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            pages, size = (
                connection.execute(f"PRAGMA page_{name}").fetchone()[0]
                for name in ("count", "size")
            )
            return int(pages * size)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM")
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(row[0])
