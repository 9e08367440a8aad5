"""What probes and Prometheus ask for."""

from __future__ import annotations

import hmac
import logging
from typing import Any

import flask
import sqlalchemy as sa

from service import revisions
from service.database import db
from service.database_errors import first_line
from service.problems import Unauthorized, Unavailable
from service.web.limits import limits
from service.web.protocol import LEAVING

logger = logging.getLogger("byline")


def readiness() -> dict[str, Any]:
    """The Readiness: `degraded` while only the limiter's store is gone.

    Raises `Unavailable` when the server is about to end, the database is not reachable or its
    schema is behind the code.
    """
    if LEAVING in flask.current_app.extensions:
        raise Unavailable("The server is shutting down.")
    try:
        revisions.require(db.engine)
    except revisions.Behind as behind:
        raise Unavailable(str(behind)) from None
    except sa.exc.SQLAlchemyError as error:
        logger.warning("database: %s", first_line(error))
        raise Unavailable("The database is not reachable.") from None
    degraded = limits().is_degraded()
    return {
        "status": "degraded" if degraded else "ok",
        "checks": {"database": "ok", "schema": "ok", "limiter": "down" if degraded else "ok"},
    }


def metrics_text() -> bytes:
    """The metrics; raises `Unauthorized` when METRICS_TOKEN is set and not the bearer."""
    token = flask.current_app.config["METRICS_TOKEN"]
    if token is not None:
        scheme, _, given = flask.request.headers.get("Authorization", "").partition(" ")
        same = hmac.compare_digest(given.encode(), token.get_secret_value().encode())
        if not same or scheme.lower() != "bearer":
            raise Unauthorized
    text: bytes = flask.current_app.extensions["metrics"].text()
    return text
