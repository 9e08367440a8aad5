"""FastAPI with SQLAlchemy's ORM on asyncio, as the documentation of both has it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from typing import Annotated
from uuid import UUID

import jwt
import sqlalchemy as sa
from fastapi import Depends, FastAPI, HTTPException, Query, status
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from bench.peers.postgresql import POOL, models, schemas, tokens
from bench.peers.schemas import NewPost

app = FastAPI()
engine = create_async_engine(
    os.environ["BENCH_DATABASE"].replace("postgresql:", "postgresql+asyncpg:"),
    pool_size=POOL,
    max_overflow=0,
)
async_session = async_sessionmaker(engine, expire_on_commit=False)
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="auth/login")


async def get_session() -> AsyncIterator[AsyncSession]:
    async with async_session() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]


async def get_current_user(
    session: SessionDep, token: Annotated[str, Depends(oauth2_scheme)]
) -> models.User:
    refusal = HTTPException(
        status.HTTP_401_UNAUTHORIZED,
        "Could not validate credentials",
        {"WWW-Authenticate": "Bearer"},
    )
    try:
        claims = tokens.verified(token)
    except jwt.InvalidTokenError:
        raise refusal from None
    user = await session.scalar(
        sa.select(models.User)
        .join(models.Session, models.Session.user_id == models.User.id)
        .where(
            models.Session.id == UUID(claims["sid"]),
            models.Session.user_id == UUID(claims["sub"]),
            models.Session.expires_at > sa.func.now(),
            models.User.disabled.is_(False),
        )
    )
    if user is None:
        raise refusal
    return user


CurrentUser = Annotated[models.User, Depends(get_current_user)]


@app.get("/auth/me", response_model=schemas.Account)
async def get_me(user: CurrentUser) -> models.User:
    return user


@app.get("/api/posts", response_model=list[schemas.Post])
async def list_posts(
    session: SessionDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: UUID | None = None,
) -> Sequence[models.Post]:
    statement = sa.select(models.Post).order_by(models.Post.id.desc()).limit(limit)
    if after:
        statement = statement.where(models.Post.id < after)
    return (await session.scalars(statement)).all()


@app.get("/api/posts/{post_id}", response_model=schemas.Post)
async def get_post(post_id: UUID, session: SessionDep) -> models.Post:
    post = await session.get(models.Post, post_id)
    if post is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "Post not found")
    return post


@app.post("/api/posts", response_model=schemas.Post, status_code=status.HTTP_201_CREATED)
async def create_post(new_post: NewPost, user: CurrentUser, session: SessionDep) -> models.Post:
    post = models.Post(**new_post.model_dump(), author=user)
    session.add(post)
    await session.commit()
    return post
