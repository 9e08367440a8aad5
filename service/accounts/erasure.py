"""Removes the data of deleted accounts in the background, in batches too small to delay requests.

An account is hidden by the transaction that deletes it, which also adds a row to `deletions`. Any
process then claims the account, reads the keys of its rows, newest first and without a lock, and
deletes them batch by batch. Each batch is a transaction that also renews the claim, so if the
process dies, the next one finds the account with the remaining rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import flask

from service.engine.database.transaction import db
from service.engine.work.background import Background
from service.models import Deletion, deletions
from service.models.ownership import Keys, Removal, piecemeal_on_sqlite

BATCH_SECONDS = 0.025  # target for the time a batch holds its locks; 0.05 is acceptable
FIRST_BATCH_ROWS = 4  # few, because each may be large
MAX_ROWS_PER_BATCH = 2000
MAX_SQLITE_ROWS_PER_BATCH = 50  # the next rows may be larger, and all writers wait
PAUSE_FACTOR = 3  # a pause this many times as long as the batch leaves the database to others

Batch = tuple[Removal, Keys]


class Erasure(Background):
    """One thread that removes deleted accounts; several processes may each have one."""

    def __init__(self, app: flask.Flask) -> None:
        super().__init__("deleted accounts", self._remove_and_rest, pause=0)
        self._app = app
        self._user = ""
        self._batches: Iterator[Batch] | None = None
        self._size = FIRST_BATCH_ROWS
        app.extensions["erasure"] = self

    def finish(self) -> int:
        """Remove all accounts that no other process is working on, at once; returns their
        number."""
        removed = 0
        while self._remove() is not None:
            removed += self._batches is None
        return removed

    def _remove_and_rest(self) -> float | None:
        with self._app.app_context():
            taken = self._remove()
        return None if taken is None else PAUSE_FACTOR * taken

    def _remove(self) -> float | None:
        """Remove one batch; returns the seconds it took, or None if there was nothing to remove."""
        if self._batches is None:
            user_id = Deletion.claim()
            if user_id is None:
                return None
            self._user, self._batches = user_id, self._all_batches(user_id)
        batches, self._batches = self._batches, None  # start again after an exception
        batch = next(batches, None)
        with db.transaction() as transaction:
            is_ours = Deletion.hold(self._user)
            began = time.monotonic()  # the clock starts after waiting for SQLite's write lock
            if batch and is_ours:
                owned, keys = batch
                owned.remove(keys)
            elif is_ours:
                Deletion.finish(self._user)
            transaction.commit()
        taken = time.monotonic() - began
        if batch and is_ours:
            self._batches = batches
            fitting = int(len(batch[1]) * BATCH_SECONDS / max(taken, 0.0001))
            self._size = max(1, min(fitting, 2 * self._size, self._most_rows()))
        return taken

    @staticmethod
    def _most_rows() -> int:
        sqlite = MAX_SQLITE_ROWS_PER_BATCH if _is_sqlite() else MAX_ROWS_PER_BATCH
        return min(MAX_ROWS_PER_BATCH, sqlite)

    def _all_batches(self, user_id: str) -> Iterator[Batch]:
        """All rows of an account, until there are none in any table."""
        found = True
        while found:
            found = False
            first = piecemeal_on_sqlite if _is_sqlite() else []
            for owned in (*first, *deletions.owned()):
                self._size, last = FIRST_BATCH_ROWS, None  # rows of another table may be larger
                while keys := owned.keys(user_id, last):
                    found, last = True, keys[-1]
                    while keys:
                        yield owned, keys[: self._size]
                        keys = keys[self._size :]


def _is_sqlite() -> bool:
    return db.engine.dialect.name == "sqlite"
