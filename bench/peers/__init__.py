"""The peers: the same four operations on the same tables, as others write them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

THREADS = 16  # as many as Byline has


@dataclass(frozen=True)
class Peer:
    """A program to compare with: how it is started, and what it does less or more than Byline."""

    name: str
    title: str
    command: Callable[[int], list[str]]  # serves on 127.0.0.1 and this port, in the foreground
    note: str
    counts_in: str = ""  # "memory" or "Valkey", if it has limits


def uvicorn(name: str, port: int) -> list[str]:
    options = ["--port", str(port), "--no-access-log", "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", f"bench.peers.{name}:app", *options]


def _gunicorn(name: str, port: int) -> list[str]:
    workers = ["--worker-class", "gthread", "--workers", "1", "--threads", str(THREADS)]
    options = ["--bind", f"127.0.0.1:{port}", "--log-level", "warning", "--no-control-socket"]
    return [sys.executable, "-m", "gunicorn", *workers, *options, f"bench.peers.{name}:app"]


_LESS = (
    "It checks that the user is there and not disabled, but no session; it writes no search"
    " document, and has no ETag and no limits."
)
PEERS = [
    Peer(
        "fastapi_orm",
        "FastAPI, ORM",
        partial(uvicorn, "fastapi_orm"),
        "As its tutorials have it: functions without async, a session and the current user as"
        f" dependencies, response_model. {_LESS}",
    ),
    Peer(
        "fastapi_core",
        "FastAPI, Core statements",
        partial(uvicorn, "fastapi_core"),
        "The prepared statements of the bare ASGI function, one thread hop a request,"
        " response_model. It looks the user up, but no session, and writes the search document; no"
        " ETag, no limits. It imports parts of Byline, so its start and memory are not FastAPI's.",
    ),
    Peer(
        "flask_restful",
        "Flask-RESTful, gunicorn",
        partial(_gunicorn, "flask_restful"),
        f"With Flask-JWT-Extended and Flask-SQLAlchemy, one worker with {THREADS} threads. Answers"
        f" are marshalled, not validated. {_LESS}",
    ),
    Peer(
        "flask_smorest",
        "flask-smorest, gunicorn",
        partial(_gunicorn, "flask_smorest"),
        f"With Flask-JWT-Extended and Flask-SQLAlchemy, one worker with {THREADS} threads."
        f" marshmallow validates requests and serialises answers. {_LESS}",
    ),
    Peer(
        "connexion_stock",
        "Connexion FlaskApp as it comes",
        partial(uvicorn, "connexion_stock"),
        "With Flask-SQLAlchemy; strict_validation is on, validate_responses is off, as it is by"
        f" default. {_LESS}",
    ),
    Peer(
        "bare_asgi",
        "A bare ASGI function (the limit)",
        partial(uvicorn, "bare_asgi"),
        "Byline's statements, token check and session check on the event loop, and nothing else:"
        " no validation of requests or answers, no ETag, no limits, no telemetry, no threads. It"
        " imports Byline to do so: its start and memory are no limit.",
    ),
]
