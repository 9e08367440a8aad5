"""The Flask application: for the database and the configuration, not for routing or parsing."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import flask

from service.engine.database.connections import MOST_IDLE, engine_options
from service.engine.database.transaction import READINESS, REPLICA, db
from service.engine.settings import EngineSettings

MAX_CHUNKS_AT_ONCE = 2  # of all streams of an operation, in worker threads at a time


class Flask(flask.Flask):
    """A Flask that never matches a URL: the specification's router has done that."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return super().ensure_sync(func) if _is_async(func) else func

    def create_url_adapter(self, request: Any) -> Any:
        return super().create_url_adapter(None) if request is None else None


_is_async = cache(iscoroutinefunction)


def create_flask(
    settings: EngineSettings, name: str, *, migrations: Path, threads: int = 0
) -> Flask:
    """The Flask application of the package `name` with its database, which is all a command needs.

    `migrations` is Alembic's folder, with `env.py` and the revisions in `versions`. `threads` is
    how many threads besides the settings' `worker_threads` need a connection each.
    """
    app = Flask(name, static_folder=None)
    app.config.update({name.upper(): value for name, value in settings})
    # The path under which a proxy serves the API, from PUBLIC_URL: `/`, or such as `/planner`.
    app.config["APPLICATION_ROOT"] = urlsplit(settings.public_url).path or "/"
    connections = settings.worker_threads + threads + 2
    known: dict[str, Any] = {"migrations": migrations, "service": settings.specification.name}
    # The rest is for streams, which threads produce.
    known[MOST_IDLE] = max(1, settings.worker_threads - MAX_CHUNKS_AT_ONCE)
    url, options = engine_options(settings.database_url, connections, known)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options
    binds = {READINESS: {"url": url, **options, "pool_size": 1}}
    if settings.database_replica_url:
        url, options = engine_options(settings.database_replica_url, connections, known)
        binds[REPLICA] = {"url": url, **options}
    app.config["SQLALCHEMY_BINDS"] = binds
    db.init_app(app)
    return app
