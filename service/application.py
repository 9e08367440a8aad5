"""Users, posts and auth. `create_app` hands the parts of this service to the engine."""

from __future__ import annotations

from functools import partial

from service import pages
from service.accounts import removal, security
from service.accounts.erasure import Erasure
from service.accounts.factor_resets import FactorResets
from service.accounts.guard import Guard
from service.accounts.reminders import Reminders
from service.accounts.resealing import Resealing
from service.engine import assemble
from service.engine.request import size
from service.engine.spec.app import App
from service.engine.work.fair_threads import FairPool
from service.engine.work.threads import Pool
from service.flask_app import SEARCH_THREADS, create_flask
from service.mail import outbox
from service.mail.delivery import Delivery
from service.measures import MEASURES
from service.models import IdempotencyKey
from service.settings import Settings

MAX_HASHES_IN_FLIGHT = 64  # running or waiting; one more is 503 at once
MAX_SEARCHES_IN_FLIGHT = 16  # running or waiting; none takes longer than a second

# Values of `per` and `counts` in `x-rate-limit` that the outbox and `refresh` count themselves.
OWN_LIMITS = frozenset({"email", "rotations", "repeats"})


def create_app(settings: Settings) -> App:
    """The ASGI application; raises `BadConfiguration` if a setting cannot be used."""
    flask = create_flask(settings)
    assembly = assemble.Assembly(settings, flask, MEASURES, OWN_LIMITS)
    metrics = assembly.metrics
    Guard(
        flask,
        assembly.tokens.fingerprints,
        enabled=settings.rate_limit_enabled,
        overrides=settings.rate_limits,
        metrics=metrics,
    )
    metrics.ask(partial(outbox.readings, flask), aside=True)
    metrics.ask(partial(removal.readings, flask), aside=True)
    return assembly.app(
        handlers="service.handlers",
        static=pages.STATIC,
        caller=security.caller,
        kept_answers=IdempotencyKey,
        pools={
            "hashing": FairPool("hashing", settings.hash_threads, MAX_HASHES_IN_FLIGHT, nice=15),
            "search": Pool("search", SEARCH_THREADS, MAX_SEARCHES_IN_FLIGHT, nice=10, size=size),
        },
        background=[
            Delivery(flask, settings, metrics),
            Erasure(flask),
            Reminders(flask),
            FactorResets(flask),
            Resealing(flask),
        ],
    )
