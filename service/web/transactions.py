"""A request is one transaction: committed here and nowhere else, tried again when that is safe."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from service.database import Transaction, db
from service.database_errors import first_line, is_retryable, refusal
from service.problems import IdempotencyKeyInUse, InternalError

logger = logging.getLogger("byline")

TRIES = 3


def transact(work: Callable[[Transaction], Any], *, writes: bool, tries: int = TRIES) -> Any:
    """What `work` returns after its transaction is committed.

    An exception rolls back. Deadlocks, serialisation failures, a busy SQLite file and a lost race
    for an Idempotency-Key start over, at most `tries` times in all; other database errors become
    problems.
    """
    for left in reversed(range(tries)):
        with db.transaction(writes=writes) as transaction:
            try:
                result = work(transaction)
                transaction.commit()
                return result
            except IdempotencyKeyInUse:
                if not left:
                    raise
            except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
                if not (left and is_retryable(error)):
                    problem = refusal(error)
                    if isinstance(problem, InternalError):
                        raise
                    logger.warning("database: %s", first_line(error))
                    raise problem from None
    raise AssertionError
