"""The limit: one function on uvicorn that does Byline's own work with asyncpg, and nothing else."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import asyncpg
import orjson
from sqlalchemy.dialects import postgresql

from bench.peers.bare import POSTS, Unauthorized, body_of, claims_of
from bench.peers.postgresql import POOL, statements
from bench.peers.postgresql.counting import Store
from service.domain.words import document, words
from service.engine.ids import new_id
from service.engine.problems import Problem
from service.engine.tokens.tokens import Claims
from service.models.post_documents import Lexemes

lexemes = partial(Lexemes().process_bind_param, dialect=postgresql.dialect())
pool: asyncpg.Pool
store: Store


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    started = time.perf_counter()
    try:
        status, data, left = await _answer(scope, receive)
    except (Problem, Unauthorized):
        status, data, left = 401, None, 0
    content = orjson.dumps(data)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(content)),
        (b"ratelimit", b'"client";r=%d' % left),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
    _log(scope, status, time.perf_counter() - started)


async def _answer(scope: dict[str, Any], receive: Any) -> tuple[int, Any, int]:
    """Status and data, and what a limit has left."""
    path: str = scope["path"]
    client = scope["client"][0]
    if path == "/auth/me":
        claims = claims_of(scope)
        left = await store.left(client)
        return 200, dict(await _live(claims)), left
    if path == POSTS and scope["method"] == "POST":
        claims = claims_of(scope)
        left = await store.left(client, claims.subject)
        new_post = orjson.loads(await body_of(receive))
        user = await _live(claims)
        return 201, await _created(user, **new_post), left
    left = await store.left(client)
    if path == POSTS:
        query = parse_qs(scope["query_string"].decode())
        [limit], [after] = query.get("limit", ["20"]), query.get("after", [None])
        statement = statements.LIST_AFTER if after else statements.LIST
        rows = await pool.fetch(statement, int(limit), *([after] if after else []))
        return 200, [_post(row) for row in rows], left
    row = await pool.fetchrow(statements.GET, path.removeprefix(f"{POSTS}/"))
    return (200, _post(row), left) if row else (404, None, left)


async def _live(claims: Claims) -> asyncpg.Record:
    user = await pool.fetchrow(statements.LIVE, claims.session_id, claims.subject)
    if user is None:
        raise Unauthorized
    return user


async def _created(user: asyncpg.Record, title: str, content: str) -> dict[str, Any]:
    """The new post; it counts in what its author stores, and it can be found."""
    found = document(title, words(content))
    size = len(title.encode()) + len(content.encode())
    row = await pool.fetchrow(
        _INSERT, str(new_id()), user["id"], title, content, size, found, lexemes(found)
    )
    return {**row, "author": {"id": user["id"], "username": user["username"]}}


def _post(row: asyncpg.Record) -> dict[str, Any]:
    id_, title, content, author_id, username, created_at, updated_at = row
    return {
        "id": id_,
        "title": title,
        "content": content,
        "author": {"id": author_id, "username": username},
        "created_at": created_at,
        "updated_at": updated_at,
    }


_INSERT = """
WITH counted AS (
    UPDATE users SET stored_bytes = stored_bytes + $5 WHERE id = $2 AND NOT deleted RETURNING id
), post AS (
    INSERT INTO posts (id, author_id, title, content, version, created_at, updated_at)
    SELECT $1, id, $3, $4, 1, now(), now() FROM counted
    RETURNING id, title, content, created_at, updated_at
), found AS (
    INSERT INTO post_documents (post_id, words, lexemes)
    SELECT id, $6, $7::text::tsvector FROM post
)
SELECT * FROM post
"""


def _log(scope: dict[str, Any], status: int, seconds: float) -> None:
    line = {
        "time": time.time(),
        "client": scope["client"][0],
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    os.write(1, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


async def _lifespan(receive: Any, send: Any) -> None:
    global pool, store
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            pool = await asyncpg.create_pool(
                os.environ["BENCH_DATABASE"],
                min_size=POOL,
                max_size=POOL,
                init=_text,
                reset=_nothing,  # no statement leaves anything to reset
                server_settings={"TimeZone": "UTC", "plan_cache_mode": "force_generic_plan"},
            )
            store = await Store.connected(os.environ["RATE_LIMIT_STORAGE_URL"])
        else:
            await pool.close()
        await send({"type": f"{message['type']}.complete"})


async def _text(connection: asyncpg.Connection) -> None:
    """Takes ids and moments as the text that goes into the answer."""
    for name, decoder in (("uuid", str), ("timestamptz", _moment)):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=str, decoder=decoder, format="text"
        )


def _moment(text: str) -> str:
    """RFC 3339 of PostgreSQL's `2026-11-22 16:23:12.123+00`."""
    return f"{text[:10]}T{text[11:-3]}Z"


async def _nothing(connection: asyncpg.Connection) -> None:
    pass
