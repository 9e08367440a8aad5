"""A request is one transaction: committed here if it succeeds, tried again when that is safe."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import sqlalchemy as sa

from service.engine.database.errors import first_line, is_lost, is_retryable, refusal
from service.engine.database.transaction import Transaction, current, db
from service.engine.problems import IdempotencyKeyInUse, InternalError
from service.engine.work.greenlets import aside_if_long

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_TRIES = 3
LONG_TEXT_CHARACTERS = 10_000  # finding the words of one takes 5 to 20 ms
# A connection lost later is no reason to try again: the client has waited enough.
RECONNECT_WITHIN_SECONDS = 1.0


def transact(
    work: Callable[[Transaction], Any],
    *,
    writes: bool,
    replica: bool = False,
    tries: int = MAX_TRIES,
    commits: bool = True,
) -> Any:
    """Run `work` in a transaction, commit unless told otherwise, and return what it returned.

    An exception rolls back. After a deadlock, a serialisation failure, one of SQLite's
    SQLITE_BUSY_*, a connection lost before the commit and within RECONNECT_WITHIN_SECONDS, or a
    lost race for an Idempotency-Key, the work is done again, `tries` times in all. Other database
    errors, and that of the last try, become problems, unless they are a fault of ours.
    """
    began = time.monotonic()
    lost: Exception | None = None  # the error of a try whose connection was lost
    for left in reversed(range(tries)):
        with db.transaction(writes=writes, replica=replica) as transaction:
            try:
                result = work(transaction)
                if commits:
                    transaction.commit()
                return result
            except IdempotencyKeyInUse:
                if left:
                    continue
                if lost is None:
                    raise
                # That try still holds the key: the database has not noticed the loss.
                _refuse(lost)
            except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
                again = is_retryable(error)
                if is_lost(error) and not transaction.is_committed:
                    lost = error
                    again |= time.monotonic() - began < RECONNECT_WITHIN_SECONDS
                if not (left and again):
                    _refuse(error)
    raise AssertionError


def _refuse(error: Exception) -> NoReturn:
    """Raise the problem that the client gets for a database error. If it is a fault of ours, raise
    the error itself, which is logged later, with its traceback."""
    problem = refusal(error)
    if isinstance(problem, InternalError):
        raise error
    logger.warning("database: %s", first_line(error))
    raise problem from None


def unlocked(compute: Callable[..., T], *texts: str) -> T:
    """Compute something from texts, without holding SQLite's write lock or the event loop if the
    texts are long.

    Only before the handler writes, and what it has read may be stale afterwards.
    """
    if sum(map(len, texts)) > LONG_TEXT_CHARACTERS:
        current().unlock()
    return aside_if_long(compute, *texts)
