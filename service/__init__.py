"""Byline: users, posts and auth. `create_app` wires the parts together, outermost first."""

from __future__ import annotations

import gc
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from service.accounts import removal
from service.accounts.erasure import Erasure
from service.accounts.guard import Guard
from service.accounts.security import Authority
from service.engine.call import size
from service.engine.database.transaction import READINESS, REPLICA, db
from service.engine.http import docs, front_door
from service.engine.http.cors import Cors
from service.engine.http.health import Readiness
from service.engine.http.problems import Problems
from service.engine.http.proxies import Proxies
from service.engine.http.telemetry import Telemetry
from service.engine.limits.limits import Limits
from service.engine.observe.metrics import Metrics, Readings
from service.engine.serve import heap
from service.engine.serve.protocol import MALFORMED
from service.engine.serve.unsent import STATE, Unsent
from service.engine.settings import BadConfiguration
from service.engine.spec import specification
from service.engine.spec.app import App
from service.engine.spec.operation import Services
from service.engine.spec.routing import Routing
from service.engine.tokens.keys import KeyRing, generate_key
from service.engine.tokens.tokens import Tokens
from service.engine.work.background import Background
from service.engine.work.context import Flask
from service.engine.work.fair_threads import FairPool
from service.engine.work.replica import Replica
from service.engine.work.threads import Pool
from service.mail import outbox
from service.mail.delivery import Delivery
from service.settings import Settings

MOST_IN_FLIGHT = 512  # requests in a process; beyond it 503 at once
MOST_HASHING = 64  # of those, the ones that hash a password
SEARCH_THREADS = 2  # so that searches, which may take long, leave the others to short calls
MOST_SEARCHING = 16  # requests, of which no search takes longer than a second
MOST_SCRAPES = 64  # those that ask for the metrics, while all other threads may be stuck
PATIENCE = 0.002  # seconds that a call waits for a thread which is at work
GARBAGE = 20_000  # objects more than there were, until the collector looks for cycles


def create_flask(settings: Settings) -> Flask:
    """The Flask application with its database: all that a command needs."""
    app = Flask("service", static_folder=None)
    app.config.update({name.upper(): value for name, value in settings})
    # Where a proxy serves the API, as PUBLIC_URL has it: `/`, or a path such as `/byline`.
    app.config["APPLICATION_ROOT"] = urlsplit(settings.public_url).path or "/"
    url, options = _engine(settings, settings.database_url)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options
    binds = {READINESS: {"url": url, **options, "pool_size": 1}}
    if settings.database_replica_url:
        url, options = _engine(settings, settings.database_replica_url)
        binds[REPLICA] = {"url": url, **options}
    app.config["SQLALCHEMY_BINDS"] = binds
    db.init_app(app)
    return app


def create_app(settings: Settings) -> App:
    """The ASGI application; raises `BadConfiguration` when the settings do not make one."""
    app = create_flask(settings)
    metrics = app.extensions["metrics"] = _metrics(settings)
    limits = Limits(
        app,
        enabled=settings.rate_limit_enabled,
        storage_url=settings.rate_limit_storage_url,
        client=settings.rate_limit_client,
        overrides=settings.rate_limits,
        metrics=metrics,
    )
    tokens = Tokens(_key_ring(settings), issuer=settings.jwt_issuer, audience=settings.jwt_audience)
    Guard(
        app,
        tokens.fingerprints,
        enabled=settings.rate_limit_enabled,
        overrides=settings.rate_limits,
        metrics=metrics,
    )
    authority = Authority(app, tokens, settings)
    replica = Replica(app, authority, limits, metrics) if settings.database_replica_url else None
    services = Services(
        flask=app,
        authority=authority,
        limits=limits,
        pools={
            "requests": Pool(
                "request",
                settings.worker_threads,
                MOST_IN_FLIGHT,
                # SQLite computes here, PostgreSQL elsewhere.
                patience=PATIENCE if settings.embedded else 0,
                size=size,
            ),
            "hashing": FairPool("hashing", settings.hash_threads, MOST_HASHING, nice=15),
            "search": Pool("search", SEARCH_THREADS, MOST_SEARCHING, nice=10, size=size),
            "metrics": Pool("metrics", 2, MOST_SCRAPES),
        },
        replica=replica,
    )
    metrics.ask(partial(_readings, app, services.pools))
    metrics.ask(partial(outbox.readings, app), aside=True)
    metrics.ask(partial(removal.readings, app), aside=True)
    unsent = Unsent()
    metrics.ask(unsent.readings)
    delivery = Delivery(app, settings, metrics)
    beside: list[Background | Replica | Readiness]
    beside = [Readiness(app, limits), delivery, Erasure(app)]
    if replica:
        beside.append(replica)
    log = {"log_level": settings.log_level, "log_format": settings.log_format}
    tracing = _tracing(app, settings)
    middlewares: list[Any] = [
        partial(Telemetry, metrics=metrics, tracing=tracing, **log),
        Problems,
        partial(
            front_door.FrontDoor,
            hosts=settings.trusted_hosts,
            limits=limits,
            exempt=front_door.unlimited(specification.document()),
            hostless=front_door.hostless(specification.document()),
        ),
        docs.Assets,
        Routing,
    ]
    if settings.cors_origins:
        middlewares.insert(
            1, partial(Cors, origins=settings.cors_origins, headers=settings.cors_headers)
        )
    if settings.trusted_proxies:
        middlewares.insert(0, partial(Proxies, trusted=settings.trusted_proxies))

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[dict[str, Any]]:
        # What lives now lives as long as the process, and a request leaves no cycles behind: the
        # collector need not look at the one and seldom for the other.
        gc.collect()
        gc.freeze()
        heap.release_large_blocks()
        thresholds = gc.get_threshold()
        gc.set_threshold(GARBAGE)
        for one in beside:
            one.start()
        try:
            async with metrics.shared(settings.metrics_dir):
                yield {STATE: unsent, MALFORMED: limits.count_malformed}
        finally:
            gc.set_threshold(*thresholds)
            gc.unfreeze()
            for one in beside:
                one.stop()
            for pool in services.pools.values():
                pool.close()
            limits.close()
            if tracing:
                tracing.close()
            with app.app_context():
                for engine in db.engines.values():
                    engine.dispose()

    return App(
        services,
        specification.document(),
        middlewares=middlewares,
        handlers="service.handlers",
        lifespan=lifespan,
    )


def _engine(settings: Settings, address: str) -> tuple[Any, dict[str, Any]]:
    """The URL and the options of the engine for a database."""
    options = {
        "hide_parameters": True,
        "pool_size": settings.worker_threads + settings.hash_threads + SEARCH_THREADS + 2,
        "max_overflow": 0,
        "pool_timeout": 5,
        "pool_use_lifo": True,  # the one that was used last has the pages in its cache
    }
    if settings.embedded:
        return address, options
    from service.engine.database import postgresql  # with its driver, which SQLite does without

    url, own = postgresql.engine_options(address)
    return url, options | own


def _metrics(settings: Settings) -> Metrics:
    folder = settings.metrics_dir
    try:
        if folder:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadConfiguration(f"METRICS_DIR cannot be used: {error.strerror}") from None
    return Metrics(specification.document()["info"]["version"])


def _tracing(app: Flask, settings: Settings) -> Any:
    if not settings.otel_exporter_otlp_endpoint:
        return None
    document = specification.document()
    routes = {
        operation["operationId"]: path
        for path, item in document["paths"].items()
        for operation in item.values()
        if isinstance(operation, dict)
    }
    try:
        from service.engine.observe.tracing import Tracing  # with its library: 9 MB and 0.2 s

        endpoint, version = settings.otel_exporter_otlp_endpoint, document["info"]["version"]
        return Tracing(app, endpoint, version=version, routes=routes)
    except ValueError as error:  # of the library, which reads its own variables and quotes values
        name = re.search(r"OTEL_\w+", str(error))
    raise BadConfiguration(f"{name[0] if name else 'A variable OTEL_*'} cannot be used")


def _readings(app: Flask, pools: dict[str, Pool]) -> Readings:
    """How busy the pools of threads and of connections are."""
    readings: Readings = {
        (f"byline_pool_{what}", name): value
        for name, pool in pools.items()
        for what, value in pool.readings().items()
    }
    with app.app_context():
        connections: Any = db.engine.pool
    readings["byline_database_connections",] = connections.size()
    readings["byline_database_connections_in_use",] = connections.checkedout()
    return readings


def _key_ring(settings: Settings) -> KeyRing:
    if settings.jwt_private_key:
        try:
            return KeyRing.from_pem(settings.jwt_private_key.get_secret_value())
        except ValueError as error:
            reason = str(error)
        raise BadConfiguration(f"JWT_PRIVATE_KEY cannot be used: {reason}")
    folder = settings.jwt_keys_dir
    try:
        if folder.exists():
            list(folder.iterdir())  # says why it cannot be read, where a search finds nothing
        ring = KeyRing.from_directory(folder)
        if not ring and settings.embedded:
            generate_key(folder)
            ring = KeyRing.from_directory(folder)
    except OSError as error:
        raise BadConfiguration(f"JWT_KEYS_DIR cannot be used: {error.strerror}") from None
    except ValueError as error:
        raise BadConfiguration(f"JWT_KEYS_DIR cannot be used: {error}") from None
    if not ring:
        raise BadConfiguration(
            "JWT_KEYS_DIR has no key in it, and a production database gets none by itself: "
            "run `byline keys generate`, or set JWT_PRIVATE_KEY"
        )
    return ring
