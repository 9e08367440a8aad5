"""Puts a service together: the engine's layers, outermost first, around the service's handlers."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from service.engine.caller import Caller
from service.engine.database.transaction import Transaction, db
from service.engine.http import assets, front_door
from service.engine.http.cors import Cors, cookie_paths
from service.engine.http.health import Readiness
from service.engine.http.problems import Problems
from service.engine.http.proxies import Proxies
from service.engine.http.telemetry import Telemetry
from service.engine.limits.limits import Limits
from service.engine.observe.catalogue import Measure
from service.engine.observe.metrics import Metrics, Readings
from service.engine.request import size
from service.engine.serve import heap
from service.engine.serve.protocol import MALFORMED
from service.engine.serve.unsent import UNSENT, Unsent
from service.engine.settings import BadConfiguration, EngineSettings
from service.engine.spec.app import App
from service.engine.spec.flask_app import Flask
from service.engine.spec.idempotency import KeptAnswers
from service.engine.spec.operation import Services
from service.engine.spec.problem_pages import ProblemPages
from service.engine.spec.routing import Routing
from service.engine.tokens.authority import Authority, key_ring
from service.engine.tokens.sealing import Sealer
from service.engine.tokens.tokens import Claims, Tokens
from service.engine.work.greenlets import GreenletPool
from service.engine.work.replica import Replica
from service.engine.work.threads import Pool

MAX_REQUESTS_IN_FLIGHT = 512  # per process, running or waiting; one more gets a 503 at once
MAX_SCRAPES_IN_FLIGHT = 64  # of the metrics, running or waiting, in threads of their own
HAND_OFF_SECONDS = 0.002  # a call waits this long for a busy thread before another one is woken
COLLECTOR_THRESHOLD_OBJECTS = 20_000  # new objects until the garbage collector runs


class BackgroundWork(Protocol):
    """Work in the background, from the start of a process to its end."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Assembly:
    """A service that is being put together: what its own parts need first, then the application.

    `measures` are its own metrics, besides those of every service; `own_limits` is as in `Limits`.

    Raises `BadConfiguration` when the settings cannot be used.
    """

    def __init__(
        self,
        settings: EngineSettings,
        flask: Flask,
        measures: Mapping[str, Measure] | None = None,
        own_limits: frozenset[str] = frozenset(),
    ) -> None:
        self.settings = settings
        self.flask = flask
        self.specification = settings.specification
        self.specification.check()
        self.metrics = flask.extensions["metrics"] = self._metrics(measures)
        self.limits = Limits(
            flask,
            self.specification.document,
            enabled=settings.rate_limit_enabled,
            storage_url=settings.rate_limit_storage_url,
            client=settings.rate_limit_client,
            overrides=settings.rate_limits,
            metrics=self.metrics,
            own=own_limits,
        )
        ring = key_ring(settings)
        self.tokens = Tokens(ring, issuer=settings.jwt_issuer, audience=settings.jwt_audience)
        self.sealer = Sealer(flask, ring)
        self.authority = Authority(flask, self.tokens, settings)

    def app(
        self,
        *,
        handlers: str,
        static: Path,
        caller: Callable[[Claims, Transaction | None], Caller],
        kept_answers: type[KeptAnswers],
        pools: Mapping[str, Pool] | None = None,
        background: list[BackgroundWork] | None = None,
    ) -> App:
        """The ASGI application.

        `handlers` is the package of the handlers, `static` the folder with the pages' assets.
        `caller` and `kept_answers` are as in `Services`. `pools` are those that `x-worker-pool`
        can name besides `requests` and `metrics`.
        """
        settings, flask, metrics = self.settings, self.flask, self.metrics
        replica = None
        if settings.database_replica_url:
            replica = Replica(flask, self.authority, self.limits, metrics)
        # SQLite computes in this process, PostgreSQL does not.
        wake_after = HAND_OFF_SECONDS if settings.embedded else 0
        threads = Pool(
            "request",
            settings.worker_threads,
            MAX_REQUESTS_IN_FLIGHT,
            wake_after=wake_after,
            size=size,
        )
        # Requests that wait for a database elsewhere do so on the event loop.
        requests: Pool | GreenletPool = threads
        if not settings.embedded:
            requests = GreenletPool(settings.worker_threads, MAX_REQUESTS_IN_FLIGHT, threads)
        services = Services(
            flask=flask,
            realm=self.specification.name,
            authority=self.authority,
            caller=caller,
            kept_answers=kept_answers,
            limits=self.limits,
            pools={
                "requests": requests,
                **(pools or {}),
                "metrics": Pool("metrics", 2, MAX_SCRAPES_IN_FLIGHT),
            },
            replica=replica,
        )
        metrics.ask(partial(_readings, flask, services.pools, threads))
        unsent = Unsent()
        metrics.ask(unsent.readings)
        parts = [
            Readiness(flask, self.limits),
            *(background or []),
            *([replica] if replica else []),
        ]
        tracing = self._tracing()
        return App(
            services,
            self.specification.document,
            middlewares=self._middlewares(static, tracing),
            handlers=handlers,
            lifespan=_lifespan(self, services, parts, unsent, tracing),
        )

    def _middlewares(self, static: Path, tracing: Any) -> list[Any]:
        """ASGI classes, outermost first."""
        settings, document = self.settings, self.specification.document
        served = (
            assets.swagger_ui() | assets.folder(static) | ProblemPages(self.specification).assets()
        )
        log = {"log_level": settings.log_level, "log_format": settings.log_format}
        middlewares: list[Any] = [
            partial(Telemetry, metrics=self.metrics, tracing=tracing, **log),
            partial(Problems, realm=self.specification.name),
            partial(
                front_door.FrontDoor,
                hosts=settings.trusted_hosts,
                limits=self.limits,
                exempt=front_door.unlimited(document, served),
                hostless=front_door.hostless(document),
            ),
            partial(assets.Assets, assets=served),
            Routing,
        ]
        if settings.cors_origins:
            cors = partial(
                Cors,
                origins=settings.cors_origins,
                headers=settings.cors_headers,
                cookie_paths=cookie_paths(document),
            )
            middlewares.insert(1, cors)
        if settings.trusted_proxies:
            middlewares.insert(0, partial(Proxies, trusted=settings.trusted_proxies))
        return middlewares

    def _metrics(self, measures: Mapping[str, Measure] | None) -> Metrics:
        folder = self.settings.metrics_dir
        try:
            if folder:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BadConfiguration(f"METRICS_DIR cannot be used: {error.strerror}") from None
        return Metrics(self.specification.name, self.specification.version, measures)

    def _tracing(self) -> Any:
        endpoint = self.settings.otel_exporter_otlp_endpoint
        if not endpoint:
            return None
        spec = self.specification
        try:
            from service.engine.observe.tracing import Tracing  # with its library: 9 MB and 0.2 s

            return Tracing(self.flask, endpoint, spec)
        except ValueError as error:  # the library reads its own variables, and quotes their values
            name = re.search(r"OTEL_\w+", str(error))
        raise BadConfiguration(f"{name[0] if name else 'A variable OTEL_*'} cannot be used")


def _lifespan(
    assembly: Assembly, services: Services, background: list[Any], unsent: Unsent, tracing: Any
) -> Any:
    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[dict[str, Any]]:
        # Objects made so far live as long as the process, so the collector can skip them. Requests
        # leave no reference cycles, so it can run seldom.
        gc.collect()
        gc.freeze()
        heap.release_large_blocks()
        thresholds = gc.get_threshold()
        gc.set_threshold(COLLECTOR_THRESHOLD_OBJECTS)
        assembly.limits.start()
        for one in background:
            await asyncio.to_thread(one.start)  # readiness waits until it has asked the store
        try:
            async with assembly.metrics.shared(assembly.settings.metrics_dir):
                yield {UNSENT: unsent, MALFORMED: assembly.limits.count_malformed}
        finally:
            gc.set_threshold(*thresholds)
            gc.unfreeze()
            # All at once: one by one they could take longer than systemd or Docker waits.
            await asyncio.gather(*(asyncio.to_thread(one.stop) for one in background))
            for pool in services.pools.values():
                pool.close()
            await assembly.limits.close()
            if tracing:
                tracing.close()
            with assembly.flask.app_context():
                db.close()

    return lifespan


def _readings(app: Flask, pools: dict[str, Pool | GreenletPool], threads: Pool) -> Readings:
    """How busy the pools of threads and greenlets and of connections are, with the threads of what
    greenlets put aside."""
    if threads not in pools.values():
        pools = pools | {"aside": threads}
    readings: Readings = {
        (f"pool_{what}", name): value
        for name, pool in pools.items()
        for what, value in pool.readings().items()
    }
    with app.app_context():
        pool: Any = db.engine.pool
        readings["database_connections",] = pool.size()
        readings["database_connections_in_use",] = db.connections_in_use()
    return readings
