"""Idempotency-Key: the same key gets the same answer, and the work is done once."""

from __future__ import annotations

from typing import Any

import orjson
import sqlalchemy as sa

from service.accounts.security import authority
from service.engine.call import Answer
from service.engine.caller import Caller
from service.engine.problems import IdempotencyKeyInUse, IdempotencyKeyReused
from service.models import IdempotencyKey

_NOT_KEPT = {400, 401, 429}


class Retry:
    """One request with a key: asks for the kept answer, and keeps the one that was given."""

    def __init__(self, caller: Caller, operation: str, key: str, body: Any) -> None:
        self._name = (caller.id, operation, key)
        self._canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)

    def kept(self) -> Answer | None:
        """The answer given before, if there was one.

        Raises `IdempotencyKeyReused` if that was for another body, `IdempotencyKeyInUse` while the
        first request is still at work.
        """
        if not IdempotencyKey.is_free(*self._name):
            raise IdempotencyKeyInUse
        row = IdempotencyKey.find(*self._name)
        if row is None:
            return None
        if row.fingerprint not in self._fingerprints():
            raise IdempotencyKeyReused
        headers = [(k.encode(), v.encode()) for k, v in orjson.loads(row.headers)]
        return Answer(row.status, [*headers, (b"idempotency-replayed", b"true")], row.body)

    def keep(self, answer: Answer) -> None:
        """Keep the answer with the work; raises `IdempotencyKeyInUse` if another was first."""
        if answer.status in _NOT_KEPT or answer.status >= 500:
            return
        headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in answer.headers]
        try:
            IdempotencyKey.keep(
                *self._name,
                fingerprint=self._fingerprints()[-1],
                status=answer.status,
                headers=orjson.dumps(headers).decode(),
                body=answer.body,
            )
        except sa.exc.IntegrityError:
            raise IdempotencyKeyInUse from None

    def _fingerprints(self) -> list[str]:
        # Keyed, because a body may hold a password and a plain hash of it is quickly guessed; with
        # all current keys, because another process may have used a newer one.
        return authority().fingerprints(self._canonical)
