"""flask-smorest as its quickstart has it: blueprints of method views with marshmallow schemas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import marshmallow as ma
import sqlalchemy as sa
from flask.views import MethodView
from flask_jwt_extended import current_user, jwt_required
from flask_smorest import Api, Blueprint

from bench.peers.flask_setup import create_app, db
from bench.peers.models import Post, User

app = create_app(__name__, API_TITLE="Posts", API_VERSION="1", OPENAPI_VERSION="3.0.3")
api = Api(app)
blp = Blueprint("posts", __name__)


class AuthorSchema(ma.Schema):
    id = ma.fields.String()
    username = ma.fields.String()


class PostSchema(ma.Schema):
    id = ma.fields.String(dump_only=True)
    title = ma.fields.String(required=True, validate=ma.validate.Length(1, 200))
    content = ma.fields.String(required=True, validate=ma.validate.Length(1, 100_000))
    author = ma.fields.Nested(AuthorSchema, dump_only=True)
    created_at = ma.fields.String(dump_only=True)
    updated_at = ma.fields.String(dump_only=True)


class AccountSchema(ma.Schema):
    id = ma.fields.String()
    email = ma.fields.String()
    email_verified = ma.fields.Boolean()
    username = ma.fields.String()
    bio = ma.fields.String()
    role = ma.fields.String()
    disabled = ma.fields.Boolean()
    created_at = ma.fields.String()
    updated_at = ma.fields.String()


class PageQuerySchema(ma.Schema):
    limit = ma.fields.Integer(load_default=20, validate=ma.validate.Range(1, 100))
    after = ma.fields.UUID(load_default=None)


@blp.route("/auth/me")
class Me(MethodView):
    @jwt_required()
    @blp.response(200, AccountSchema)
    def get(self) -> User:
        return current_user


@blp.route("/api/posts")
class Posts(MethodView):
    @blp.arguments(PageQuerySchema, location="query")
    @blp.response(200, PostSchema(many=True))
    def get(self, page: dict[str, Any]) -> Sequence[Post]:
        statement = sa.select(Post).order_by(Post.id.desc()).limit(page["limit"])
        if page["after"]:
            statement = statement.where(Post.id < str(page["after"]))
        return db.session.scalars(statement).all()

    @jwt_required()
    @blp.arguments(PostSchema)
    @blp.response(201, PostSchema)
    def post(self, new_post: dict[str, str]) -> Post:
        post = Post(**new_post, author_id=current_user.id)
        db.session.add(post)
        db.session.commit()
        return post


@blp.route("/api/posts/<uuid:post_id>")
class OnePost(MethodView):
    @blp.response(200, PostSchema)
    def get(self, post_id: UUID) -> Post:
        return db.get_or_404(Post, str(post_id))


api.register_blueprint(blp)
