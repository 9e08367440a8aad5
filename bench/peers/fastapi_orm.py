"""FastAPI as its tutorials on SQL databases and on security have it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated
from uuid import UUID

import jwt
import sqlalchemy as sa
from fastapi import Depends, FastAPI, HTTPException, Query, status
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy.orm import Session

from bench.peers import common, models, schemas

app = FastAPI()
engine = common.engine()
secret = common.secret()
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="auth/login")


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]


def get_current_user(
    session: SessionDep, token: Annotated[str, Depends(oauth2_scheme)]
) -> models.User:
    refusal = HTTPException(
        status.HTTP_401_UNAUTHORIZED,
        "Could not validate credentials",
        {"WWW-Authenticate": "Bearer"},
    )
    try:
        claims = jwt.decode(token, secret, algorithms=[common.ALGORITHM])
    except jwt.InvalidTokenError:
        raise refusal from None
    user = session.get(models.User, claims.get("sub"))
    if user is None:
        raise refusal
    return user


async def get_current_active_user(
    user: Annotated[models.User, Depends(get_current_user)],
) -> models.User:
    if user.disabled:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "Inactive user")
    return user


CurrentUser = Annotated[models.User, Depends(get_current_active_user)]


@app.get("/auth/me", response_model=schemas.Account)
def get_me(user: CurrentUser) -> models.User:
    return user


@app.get("/api/posts", response_model=list[schemas.Post])
def list_posts(
    session: SessionDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: UUID | None = None,
) -> Sequence[models.Post]:
    statement = sa.select(models.Post).order_by(models.Post.id.desc()).limit(limit)
    if after:
        statement = statement.where(models.Post.id < str(after))
    return session.scalars(statement).all()


@app.get("/api/posts/{post_id}", response_model=schemas.Post)
def get_post(post_id: UUID, session: SessionDep) -> models.Post:
    post = session.get(models.Post, str(post_id))
    if post is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "Post not found")
    return post


@app.post("/api/posts", response_model=schemas.Post, status_code=status.HTTP_201_CREATED)
def create_post(new_post: schemas.NewPost, user: CurrentUser, session: SessionDep) -> models.Post:
    post = models.Post(**new_post.model_dump(), author_id=user.id)
    session.add(post)
    session.commit()
    session.refresh(post)
    return post
