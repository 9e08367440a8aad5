"""Connexion's FlaskApp as its documentation has it, with Flask-SQLAlchemy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import connexion
import jwt
import sqlalchemy as sa
from connexion.resolver import RelativeResolver
from flask_sqlalchemy import SQLAlchemy
from werkzeug.exceptions import Unauthorized

from bench.peers import common
from bench.peers.models import Base, Post, User

secret = common.secret()
db = SQLAlchemy(model_class=Base)


def decode_token(token: str) -> dict[str, Any]:
    try:
        return jwt.decode(token, secret, algorithms=[common.ALGORITHM])
    except jwt.InvalidTokenError as error:
        raise Unauthorized from error


def get_me(user: str) -> dict[str, Any]:
    return _account(_active(user))


def list_posts(limit: int, after: str | None = None) -> list[dict[str, Any]]:
    statement = sa.select(Post).order_by(Post.id.desc()).limit(limit)
    if after:
        statement = statement.where(Post.id < after)
    return [_post(post) for post in db.session.scalars(statement)]


def create_post(user: str, body: dict[str, str]) -> tuple[dict[str, Any], int]:
    post = Post(**body, author_id=_active(user).id)
    db.session.add(post)
    db.session.commit()
    return _post(post), 201


def get_post(post_id: str) -> dict[str, Any]:
    return _post(db.get_or_404(Post, post_id))


def _active(user_id: str) -> User:
    user = db.session.get(User, user_id)
    if user is None or user.disabled:
        raise Unauthorized
    return user


def _post(post: Post) -> dict[str, Any]:
    return {
        "id": post.id,
        "title": post.title,
        "content": post.content,
        "author": {"id": post.author.id, "username": post.author.username},
        "created_at": post.created_at,
        "updated_at": post.updated_at,
    }


def _account(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "email_verified": user.email_verified,
        "username": user.username,
        "bio": user.bio,
        "role": user.role,
        "disabled": user.disabled,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }


app = connexion.FlaskApp(__name__, specification_dir=Path(__file__).parent)
app.app.config["SQLALCHEMY_DATABASE_URI"] = common.database_url()
app.app.config["SQLALCHEMY_ENGINE_OPTIONS"] = common.ENGINE_OPTIONS
db.init_app(app.app)
app.add_api("openapi.yaml", resolver=RelativeResolver(__name__), strict_validation=True)
