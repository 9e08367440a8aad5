"""A request is one transaction: committed here and nowhere else, tried again when that is safe."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa

from service.engine.database.errors import first_line, is_lost, is_retryable, refusal
from service.engine.database.transaction import Transaction, current, db
from service.engine.problems import IdempotencyKeyInUse, InternalError

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_TRIES = 3
LONG_TEXT_CHARACTERS = 10_000  # finding the words of one takes 5 to 20 ms
# A connection lost later is not retried: the client has waited enough.
RECONNECT_WITHIN_SECONDS = 1.0


def transact(
    work: Callable[[Transaction], Any],
    *,
    writes: bool,
    replica: bool = False,
    tries: int = MAX_TRIES,
    commits: bool = True,
) -> Any:
    """What `work` returns after its transaction is committed, or rolled back unless it `commits`.

    An exception rolls back. Deadlocks, serialisation failures, a busy SQLite file, a connection
    lost before the commit and a lost race for an Idempotency-Key start over, at most `tries` times
    in all; other database errors become problems.
    """
    began = time.monotonic()
    for left in reversed(range(tries)):
        with db.transaction(writes=writes, replica=replica) as transaction:
            try:
                result = work(transaction)
                if commits:
                    transaction.commit()
                return result
            except IdempotencyKeyInUse:
                if not left:
                    raise
            except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
                lost = is_lost(error) and not transaction.is_committed
                again = is_retryable(error) or (
                    lost and time.monotonic() - began < RECONNECT_WITHIN_SECONDS
                )
                if not (left and again):
                    problem = refusal(error)
                    if isinstance(problem, InternalError):
                        raise
                    logger.warning("database: %s", first_line(error))
                    raise problem from None
    raise AssertionError


def unlocked(compute: Callable[[str], T], text: str) -> T:
    """What `compute` makes of a text; while it computes for long, nobody waits for SQLite's writer.

    Only for the beginning of a handler, before it writes: what it has read may be stale afterwards.
    """
    if len(text) > LONG_TEXT_CHARACTERS:
        current().unlock()
    return compute(text)
