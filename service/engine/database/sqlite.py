"""SQLite: a write-ahead log, one writer at a time, and readers that never wait."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

WRITE_TIMEOUT_SECONDS = 5.0  # a writer waits this long for its turn; after that the answer is 503

STEPS_PER_CLOCK_CHECK = 10_000  # instructions of SQLite's virtual machine: less than a millisecond


def set_up(engine: sa.Engine) -> None:
    """Set up each connection, and begin transactions as this module does."""
    sa.event.listen(engine, "connect", _open)
    sa.event.listen(engine, "begin", _begin)


@contextmanager
def limited(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Interrupts the statements of the block after this many seconds in all."""
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, STEPS_PER_CLOCK_CHECK)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def _open(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we write BEGIN ourselves
    # As in PostgreSQL, and in SQLite since 3.43: the size of a text in UTF-8.
    connection.create_function("octet_length", 1, _octet_length, deterministic=True)
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        f"busy_timeout = {int(WRITE_TIMEOUT_SECONDS * 1000)}",
        # 16 MB: pages that change many times are copied back only once.
        "wal_autocheckpoint = 4000",
        "temp_store = MEMORY",
        "cache_size = -4000",  # 4000 KiB for each connection: more was no faster
    ):
        connection.execute(f"PRAGMA {pragma}")


def _octet_length(value: str | bytes | None) -> int | None:
    return len(value.encode() if isinstance(value, str) else value) if value is not None else None


def _begin(connection: sa.Connection) -> None:
    """For connections used without `Transaction`: commands, migrations, the ORM."""
    driver: Any = connection.connection.driver_connection
    if not driver.in_transaction:
        writes = connection.get_execution_options().get("writes")
        driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
