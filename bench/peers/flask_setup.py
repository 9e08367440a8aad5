"""What the two Flask applications under gunicorn share: Flask-SQLAlchemy and Flask-JWT-Extended."""

from __future__ import annotations

from typing import Any

import flask
from flask_jwt_extended import JWTManager
from flask_sqlalchemy import SQLAlchemy

from bench.peers import common
from bench.peers.models import Base, User

db = SQLAlchemy(model_class=Base)
jwt = JWTManager()


def create_app(name: str, **config: Any) -> flask.Flask:
    app = flask.Flask(name)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=common.database_url(),
        SQLALCHEMY_ENGINE_OPTIONS=common.ENGINE_OPTIONS,
        JWT_SECRET_KEY=common.secret(),
        PROPAGATE_EXCEPTIONS=True,  # to the handlers that JWTManager has registered
        **config,
    )
    db.init_app(app)
    jwt.init_app(app)
    return app


@jwt.user_lookup_loader
def _user(_header: dict[str, Any], claims: dict[str, Any]) -> User | None:
    user = db.session.get(User, claims["sub"])
    return None if user is None or user.disabled else user
