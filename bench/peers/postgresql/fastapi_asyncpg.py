"""FastAPI with SQL on a pool of asyncpg, and the lifespan and dependencies of its documentation."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import jwt
from fastapi import Depends, FastAPI, HTTPException, Query, Request, status
from fastapi.security import OAuth2PasswordBearer

from bench.peers.postgresql import POOL, schemas, statements, tokens
from bench.peers.schemas import NewPost


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        os.environ["BENCH_DATABASE"], min_size=POOL, max_size=POOL
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="auth/login")


async def get_connection(request: Request) -> AsyncIterator[asyncpg.Connection]:
    async with request.app.state.pool.acquire() as connection:
        yield connection


Connection = Annotated[asyncpg.Connection, Depends(get_connection)]


async def get_current_user(
    connection: Connection, token: Annotated[str, Depends(oauth2_scheme)]
) -> asyncpg.Record:
    refusal = HTTPException(
        status.HTTP_401_UNAUTHORIZED,
        "Could not validate credentials",
        {"WWW-Authenticate": "Bearer"},
    )
    try:
        claims = tokens.verified(token)
    except jwt.InvalidTokenError:
        raise refusal from None
    user = await connection.fetchrow(statements.LIVE, claims["sid"], claims["sub"])
    if user is None:
        raise refusal
    return user


CurrentUser = Annotated[asyncpg.Record, Depends(get_current_user)]


@app.get("/auth/me", response_model=schemas.Account)
async def get_me(user: CurrentUser) -> dict[str, Any]:
    return dict(user)


@app.get("/api/posts", response_model=list[schemas.Post])
async def list_posts(
    connection: Connection,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: UUID | None = None,
) -> list[dict[str, Any]]:
    if after:
        rows = await connection.fetch(statements.LIST_AFTER, limit, after)
    else:
        rows = await connection.fetch(statements.LIST, limit)
    return [_post(row) for row in rows]


@app.get("/api/posts/{post_id}", response_model=schemas.Post)
async def get_post(post_id: UUID, connection: Connection) -> dict[str, Any]:
    row = await connection.fetchrow(statements.GET, post_id)
    if row is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "Post not found")
    return _post(row)


@app.post("/api/posts", response_model=schemas.Post, status_code=status.HTTP_201_CREATED)
async def create_post(
    new_post: NewPost, user: CurrentUser, connection: Connection
) -> dict[str, Any]:
    row = await connection.fetchrow(statements.INSERT, user["id"], new_post.title, new_post.content)
    return {**row, "author": {"id": user["id"], "username": user["username"]}}


def _post(row: asyncpg.Record) -> dict[str, Any]:
    return {**row, "author": {"id": row["author_id"], "username": row["username"]}}
