"""The answers to probes and to Prometheus."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import Any

import flask
import sqlalchemy as sa

from service.engine.database import revisions
from service.engine.database.errors import first_line
from service.engine.database.transaction import READINESS, db
from service.engine.limits.limits import Limits
from service.engine.problems import Unavailable
from service.engine.serve.protocol import LEAVING

INTERVAL_SECONDS = 1.0  # between two checks of the database
STALE_SECONDS = 2.5  # an older result counts as a failure
STOP_TIMEOUT_SECONDS = 5.0  # a stop waits this long for the look in progress

logger = logging.getLogger(__name__)


class Readiness:
    """What a probe is told: looked up by a thread, on a connection that no request uses.

    However many probes ask, the database is asked once in INTERVAL_SECONDS. A look that hangs is
    noticed by the age of the last one.
    """

    def __init__(self, app: flask.Flask, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._refusal: str | None = None
        self._limits_are_degraded = False
        self._looked_at = -math.inf
        self._has_looked = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="readiness", daemon=True)
        app.extensions["readiness"] = self

    def start(self) -> None:
        """Start checking, and wait for the first check, so that the first probe gets a real
        result."""
        self._thread.start()
        self._has_looked.wait(STALE_SECONDS)

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(STOP_TIMEOUT_SECONDS)

    def answer(self) -> dict[str, Any]:
        """The Readiness, without waiting; `degraded` while only the limiter's store is gone.

        Raises `Unavailable` when the server is about to end, the database is not reachable or its
        schema is behind the code.
        """
        if LEAVING in self._app.extensions:
            raise Unavailable("The server is shutting down.")
        if time.monotonic() - self._looked_at > STALE_SECONDS:
            raise Unavailable("The database does not answer.")
        if self._refusal:
            raise Unavailable(self._refusal)
        status, limiter = ("degraded", "down") if self._limits_are_degraded else ("ok", "ok")
        checks = {"database": "ok", "schema": "ok", "limiter": limiter}
        return {"status": status, "checks": checks}

    def _watch(self) -> None:
        with self._app.app_context():
            engine = db.engines[READINESS]
        while not self._stopped.is_set():
            self._refusal = self._look(engine)
            self._looked_at = time.monotonic()
            self._limits_are_degraded = self._limits.is_degraded()
            self._has_looked.set()
            self._stopped.wait(INTERVAL_SECONDS)

    def _look(self, engine: sa.Engine) -> str | None:
        """The reason why the server is not ready, or None if it is."""
        try:
            revisions.require(engine)
        except revisions.Behind as behind:
            return str(behind)
        except Exception as error:  # the thread must survive any error of a driver
            refusal = "The database is not reachable."
            if self._refusal != refusal:
                why = (
                    first_line(error) if isinstance(error, sa.exc.SQLAlchemyError) else repr(error)
                )
                logger.warning("database: %s", why)
            return refusal
        return None


def readiness() -> dict[str, Any]:
    """What the running application's Readiness answers; raises `Unavailable`."""
    found: Readiness = flask.current_app.extensions["readiness"]
    return found.answer()


def metrics_text() -> bytes:
    """All metrics of the running application."""
    text: bytes = flask.current_app.extensions["metrics"].text()
    return text
