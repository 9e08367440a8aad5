"""Idempotency-Key: the same key gets the same answer, and the work is done once."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import sqlalchemy as sa

from service.models import IdempotencyKey
from service.models.caller import Caller
from service.problems import IdempotencyKeyInUse, IdempotencyKeyReused
from service.web.call import Answer

_NOT_KEPT = {400, 401, 429}


class Retry:
    """One request with a key: asks for the kept answer, and keeps the one that was given."""

    def __init__(self, caller: Caller, operation: str, key: str, body: Any) -> None:
        self._name = (caller.id, operation, key)
        canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        self._fingerprint = hashlib.sha256(canonical).hexdigest()

    def kept(self) -> Answer | None:
        """The answer given before; raises `IdempotencyKeyReused` if that was for another body."""
        row = IdempotencyKey.find(*self._name)
        if row is None:
            return None
        if row.fingerprint != self._fingerprint:
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
                fingerprint=self._fingerprint,
                status=answer.status,
                headers=orjson.dumps(headers).decode(),
                body=answer.body,
            )
        except sa.exc.IntegrityError:
            raise IdempotencyKeyInUse from None
