"""Seals the secrets of authenticator apps anew after a rotation, before their key is removed."""

from __future__ import annotations

import flask

from service.accounts.factors import sealed_anew
from service.engine.database.transaction import db
from service.engine.ids import NOBODY
from service.engine.tokens.sealing import sealer
from service.engine.work.background import Background
from service.models import TotpFactor

ROWS_PER_BATCH = 50  # few, because SQLite's writers wait meanwhile
PAUSE_SECONDS = 0.1  # between batches


class Resealing(Background):
    """One thread that looks at the secrets once, and again after each rotation; several processes
    may each have one. A secret whose key is gone stays as it is."""

    def __init__(self, app: flask.Flask) -> None:
        super().__init__("secrets", self._step, pause=0)
        self._app = app
        self._done = ""  # the prefix with which everything is sealed
        self._after = NOBODY

    def finish(self) -> None:
        """Seal everything anew, now."""
        while self._step() is not None:
            pass

    def _step(self) -> float | None:
        with self._app.app_context():
            prefix = sealer().prefix
            if prefix == self._done:
                return None
            with db.transaction() as transaction:
                rows = TotpFactor.sealed_before(prefix, self._after, ROWS_PER_BATCH)
                for row in rows:
                    TotpFactor.reseal(row.user_id, row.secret, sealed_anew(row.user_id, row.secret))
                transaction.commit()
        self._after = rows[-1].user_id if rows else NOBODY
        self._done = self._done if rows else prefix
        return PAUSE_SECONDS if rows else None
