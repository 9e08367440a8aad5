"""Byline: users, posts and auth. `create_app` wires the parts together, outermost first."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from service.database import db
from service.delivery import Delivery
from service.domain.keys import KeyRing, generate_key
from service.domain.tokens import Tokens
from service.runtime.app import App
from service.runtime.bridge import Pool
from service.runtime.context import Flask
from service.runtime.operation import Services
from service.runtime.routing import Routing
from service.settings import BadConfiguration, Settings
from service.web import docs
from service.web.cors import Cors
from service.web.front_door import FrontDoor
from service.web.limits import Limits
from service.web.metrics import Metrics
from service.web.problems import Problems
from service.web.security import Authority
from service.web.telemetry import Telemetry

MOST_IN_FLIGHT = 512  # requests in a process; beyond it 503 at once
MOST_HASHING = 64  # of those, the ones that hash a password
PATIENCE = 0.002  # seconds that a call waits for a thread which is at work
GARBAGE = 20_000  # objects more than there were, until the collector looks for cycles
_PATIENCE = {
    "connect_timeout": 5,  # seconds, the others in milliseconds
    "options": "-c statement_timeout=5000 -c lock_timeout=3000"
    " -c idle_in_transaction_session_timeout=15000",
}


def create_flask(settings: Settings) -> Flask:
    """The Flask application with its database: all that a command needs."""
    app = Flask("service", static_folder=None)
    app.config.update({name.upper(): value for name, value in settings})
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "hide_parameters": True,
        "pool_size": settings.worker_threads + settings.hash_threads + 2,
        "max_overflow": 0,
        "pool_timeout": 5,
        "pool_use_lifo": True,  # the one that was used last has the pages in its cache
        # A server that has gone is noticed before a statement is lost to it, and soon.
        **({} if settings.embedded else {"pool_pre_ping": True, "connect_args": _PATIENCE}),
    }
    db.init_app(app)
    return app


def create_app(settings: Settings) -> App:
    """The ASGI application; raises `BadConfiguration` when the settings do not make one."""
    app = create_flask(settings)
    metrics = app.extensions["metrics"] = Metrics()
    limits = Limits(
        app,
        enabled=settings.rate_limit_enabled,
        storage_url=settings.rate_limit_storage_url,
        client=settings.rate_limit_client,
        overrides=settings.rate_limits,
        failures=metrics.store_failures,
    )
    tokens = Tokens(_key_ring(settings), issuer=settings.jwt_issuer, audience=settings.jwt_audience)
    services = Services(
        flask=app,
        authority=Authority(app, tokens, settings),
        limits=limits,
        pools={
            "requests": Pool(
                "request",
                settings.worker_threads,
                MOST_IN_FLIGHT,
                # SQLite computes here, PostgreSQL elsewhere.
                patience=PATIENCE if settings.embedded else 0,
            ),
            "hashing": Pool("hashing", settings.hash_threads, MOST_HASHING, nice=15),
        },
    )
    delivery = Delivery(app, settings, metrics.mails)
    log = {"log_level": settings.log_level, "log_format": settings.log_format}
    middlewares: list[Any] = [
        partial(Telemetry, metrics=metrics, **log),
        Problems,
        partial(
            FrontDoor,
            hosts=settings.trusted_hosts,
            limits=limits,
            exempt=_unlimited(docs.specification()),
        ),
        docs.Assets,
        Routing,
    ]
    if settings.cors_origins:
        middlewares.insert(1, partial(Cors, origins=settings.cors_origins))
    if settings.trusted_proxies:
        trusted = list(settings.trusted_proxies)
        middlewares.insert(0, partial(ProxyHeadersMiddleware, trusted_hosts=trusted))

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        # What lives now lives as long as the process, and a request leaves no cycles behind: the
        # collector need not look at the one and seldom for the other.
        gc.collect()
        gc.freeze()
        thresholds = gc.get_threshold()
        gc.set_threshold(GARBAGE)
        delivery.start()
        try:
            yield
        finally:
            gc.set_threshold(*thresholds)
            gc.unfreeze()
            delivery.stop()
            for pool in services.pools.values():
                pool.close()
            limits.close()
            with app.app_context():
                db.engine.dispose()

    return App(
        services,
        docs.specification(),
        middlewares=middlewares,
        handlers="service.handlers",
        lifespan=lifespan,
    )


def _key_ring(settings: Settings) -> KeyRing:
    if settings.jwt_private_key:
        return KeyRing.from_pem(settings.jwt_private_key.get_secret_value())
    folder = settings.jwt_keys_dir
    try:
        ring = KeyRing.from_directory(folder)
        if not ring and settings.embedded:
            generate_key(folder)
            ring = KeyRing.from_directory(folder)
    except (OSError, ValueError) as error:
        raise BadConfiguration(f"JWT_KEYS_DIR cannot be used: {error}") from None
    if not ring:
        raise BadConfiguration(
            "JWT_KEYS_DIR has no key in it, and a production database gets none by itself: "
            "run `byline keys generate`, or set JWT_PRIVATE_KEY"
        )
    return ring


def _unlimited(specification: dict[str, Any]) -> Callable[[str], bool]:
    """Says of a path whether it is outside all limits; the files of the docs are."""
    paths = {
        path
        for path, item in specification["paths"].items()
        if all(o.get("x-rate-limit") == "none" for o in item.values() if isinstance(o, dict))
    }
    return lambda path: path in paths or path.startswith("/docs/")
