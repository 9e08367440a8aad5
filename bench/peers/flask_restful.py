"""Flask-RESTful as its documentation has it: resources, request parsers, marshalled fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask_jwt_extended import current_user, jwt_required
from flask_restful import Api, Resource, fields, inputs, marshal_with, reqparse

from bench.peers.flask_setup import create_app, db
from bench.peers.models import Post, User

app = create_app(__name__)
api = Api(app)

post_fields = {
    "id": fields.String,
    "title": fields.String,
    "content": fields.String,
    "author": fields.Nested({"id": fields.String, "username": fields.String}),
    "created_at": fields.String,
    "updated_at": fields.String,
}
account_fields = {
    "id": fields.String,
    "email": fields.String,
    "email_verified": fields.Boolean,
    "username": fields.String,
    "bio": fields.String,
    "role": fields.String,
    "disabled": fields.Boolean,
    "created_at": fields.String,
    "updated_at": fields.String,
}


def text(most: int) -> Callable[[Any], str]:
    def checked(value: Any) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= most:
            raise ValueError(f"must be a text of 1 to {most} characters")
        return value

    return checked


page_parser = reqparse.RequestParser()
page_parser.add_argument("limit", type=inputs.int_range(1, 100), default=20, location="args")
page_parser.add_argument("after", type=UUID, location="args")
post_parser = reqparse.RequestParser()
post_parser.add_argument("title", type=text(200), required=True, location="json")
post_parser.add_argument("content", type=text(100_000), required=True, location="json")


class Me(Resource):
    @jwt_required()
    @marshal_with(account_fields)
    def get(self) -> User:
        return current_user


class Posts(Resource):
    @marshal_with(post_fields)
    def get(self) -> Sequence[Post]:
        page = page_parser.parse_args()
        statement = sa.select(Post).order_by(Post.id.desc()).limit(page["limit"])
        if page["after"]:
            statement = statement.where(Post.id < str(page["after"]))
        return db.session.scalars(statement).all()

    @jwt_required()
    @marshal_with(post_fields)
    def post(self) -> tuple[Post, int]:
        post = Post(**post_parser.parse_args(), author_id=current_user.id)
        db.session.add(post)
        db.session.commit()
        return post, 201


class OnePost(Resource):
    @marshal_with(post_fields)
    def get(self, post_id: UUID) -> Post:
        return db.get_or_404(Post, str(post_id))


api.add_resource(Me, "/auth/me")
api.add_resource(Posts, "/api/posts")
api.add_resource(OnePost, "/api/posts/<uuid:post_id>")
