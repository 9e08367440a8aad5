"""The limit: one function on uvicorn, with Byline's statements, token check and session check."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import orjson
import sqlalchemy as sa

from bench.peers import statements
from bench.peers.bare import POSTS, Unauthorized, body_of, claims_of
from service.engine.problems import Problem
from service.engine.tokens.tokens import Claims

engine = statements.engine()


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError  # which tells uvicorn that there is no lifespan
    try:
        status, data = await _answer(scope, receive)
    except (Problem, Unauthorized):
        status, data = 401, None
    body = orjson.dumps(data)
    length = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _answer(scope: dict[str, Any], receive: Any) -> tuple[int, Any]:
    """Status and data."""
    path: str = scope["path"]
    if path == "/auth/me":
        claims = claims_of(scope)
        with engine.connect() as connection:
            _live(connection, claims)
            return 200, statements.account(connection, claims.subject)
    if path == POSTS and scope["method"] == "POST":
        claims = claims_of(scope)
        new_post = orjson.loads(await body_of(receive))
        with statements.writing(engine) as connection:
            user = _live(connection, claims)
            return 201, statements.create_post(
                connection, claims.subject, user.username, new_post["title"], new_post["content"]
            )
    with engine.connect() as connection:
        if path == POSTS:
            query = parse_qs(scope["query_string"].decode())
            [limit], [after] = query.get("limit", ["20"]), query.get("after", [None])
            return 200, statements.list_posts(connection, int(limit), after)
        post = statements.get_post(connection, path.removeprefix(f"{POSTS}/"))
    return (200, post) if post else (404, None)


def _live(connection: sa.Connection, claims: Claims) -> statements.Row:
    user = statements.live(connection, claims.session_id, claims.subject)
    if user is None:
        raise Unauthorized
    return user
