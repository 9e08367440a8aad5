"""Litestar with SQL on a pool of asyncpg; its lifespan, dependencies and JWTAuth as documented."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
import jwt
import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from litestar import Litestar, Request, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import NotFoundException
from litestar.params import Parameter
from litestar.security.jwt import JWTAuth, Token

from bench.peers.postgresql import POOL, statements

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Content = Annotated[str, msgspec.Meta(min_length=1, max_length=100_000)]


class NewPost(msgspec.Struct, forbid_unknown_fields=True):
    title: Title
    content: Content


class Author(msgspec.Struct):
    id: UUID
    username: str


class Post(msgspec.Struct):
    id: UUID
    title: str
    content: str
    author: Author
    created_at: datetime
    updated_at: datetime


class Account(msgspec.Struct):
    id: UUID
    email: str
    email_verified: bool
    username: str
    bio: str
    role: str
    disabled: bool
    created_at: datetime
    updated_at: datetime


async def get_connection(state: State) -> AsyncIterator[asyncpg.Connection]:
    async with state.pool.acquire() as connection:
        yield connection


async def retrieve_user(token: Token, connection: ASGIConnection) -> Account | None:
    row = await connection.app.state.pool.fetchrow(statements.LIVE, token.extras["sid"], token.sub)
    return Account(**row) if row else None


@get("/auth/me")
async def get_me(request: Request[Account, Token, State]) -> Account:
    return request.user


@get("/api/posts", exclude_from_auth=True)
async def list_posts(
    connection: asyncpg.Connection,
    limit: Annotated[int, Parameter(ge=1, le=100)] = 20,
    after: UUID | None = None,
) -> list[Post]:
    if after:
        rows = await connection.fetch(statements.LIST_AFTER, limit, after)
    else:
        rows = await connection.fetch(statements.LIST, limit)
    return [_post(row) for row in rows]


@get("/api/posts/{post_id:uuid}", exclude_from_auth=True)
async def get_post(post_id: UUID, connection: asyncpg.Connection) -> Post:
    row = await connection.fetchrow(statements.GET, post_id)
    if row is None:
        raise NotFoundException("Post not found")
    return _post(row)


@post("/api/posts")
async def create_post(
    data: NewPost, request: Request[Account, Token, State], connection: asyncpg.Connection
) -> Post:
    row = await connection.fetchrow(statements.INSERT, request.user.id, data.title, data.content)
    author = Author(request.user.id, request.user.username)
    return Post(**row, author=author)


def _post(row: asyncpg.Record) -> Post:
    id_, title, content, author_id, username, created_at, updated_at = row
    return Post(id_, title, content, Author(author_id, username), created_at, updated_at)


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        os.environ["BENCH_DATABASE"], min_size=POOL, max_size=POOL
    ) as pool:
        app.state.pool = pool
        yield


[key] = jwt.PyJWKSet.from_json(os.environ["BENCH_KEY_SET"]).keys
jwt_auth = JWTAuth[Account, Token](
    token_secret=key.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    algorithm=key.algorithm_name,
    accepted_audiences=["byline"],
    accepted_issuers=["byline"],
    require_claims=["exp", "sub", "sid"],
    retrieve_user_handler=retrieve_user,
)
app = Litestar(
    [get_me, list_posts, get_post, create_post],
    dependencies={"connection": Provide(get_connection)},
    lifespan=[lifespan],
    on_app_init=[jwt_auth.on_app_init],
)
