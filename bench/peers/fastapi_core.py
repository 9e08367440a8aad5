"""FastAPI as one may tune it: prepared Core statements, a connection for one thread hop only."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import jwt
import sqlalchemy as sa
from fastapi import Depends, FastAPI, HTTPException, Query, status
from fastapi.security import OAuth2PasswordBearer

from bench.peers import common, schemas, statements

app = FastAPI()
engine = statements.engine()
secret = common.secret()
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="auth/login")
refusal = HTTPException(
    status.HTTP_401_UNAUTHORIZED, "Could not validate credentials", {"WWW-Authenticate": "Bearer"}
)


async def get_current_user_id(token: Annotated[str, Depends(oauth2_scheme)]) -> str:
    """By computation alone, so without a thread."""
    try:
        claims = jwt.decode(token, secret, algorithms=[common.ALGORITHM])
    except jwt.InvalidTokenError:
        raise refusal from None
    return str(claims.get("sub"))


CurrentUserId = Annotated[str, Depends(get_current_user_id)]


@app.get("/auth/me", response_model=schemas.Account)
def get_me(user_id: CurrentUserId) -> dict[str, Any]:
    with engine.connect() as connection:
        return _active(connection, user_id)


@app.get("/api/posts", response_model=list[schemas.Post])
def list_posts(
    limit: Annotated[int, Query(ge=1, le=100)] = 20, after: UUID | None = None
) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return statements.list_posts(connection, limit, str(after) if after else None)


@app.get("/api/posts/{post_id}", response_model=schemas.Post)
def get_post(post_id: UUID) -> dict[str, Any]:
    with engine.connect() as connection:
        post = statements.get_post(connection, str(post_id))
    if post is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "Post not found")
    return post


@app.post("/api/posts", response_model=schemas.Post, status_code=status.HTTP_201_CREATED)
def create_post(new_post: schemas.NewPost, user_id: CurrentUserId) -> dict[str, Any]:
    with statements.writing(engine) as connection:
        user = _active(connection, user_id)
        return statements.create_post(
            connection, user_id, user["username"], new_post.title, new_post.content
        )


def _active(connection: sa.Connection, user_id: str) -> dict[str, Any]:
    user = statements.account(connection, user_id)
    if user is None or user["disabled"]:
        raise refusal
    return user
