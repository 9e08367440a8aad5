"""Idempotency-Key: the same key gets the same answer, and the work is done once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import orjson
import sqlalchemy as sa

from service.engine.database.transaction import Row
from service.engine.problems import IdempotencyKeyInUse, IdempotencyKeyReused
from service.engine.request import Answer

_NOT_KEPT = {400, 401, 429}


class KeptAnswers(Protocol):
    """A table of answers, each under a name: a user's id, an operation and a key."""

    @classmethod
    def is_free(cls, user_id: str, operation: str, key: str) -> bool:
        """Whether no other request is at work under this name."""

    @classmethod
    def find(cls, user_id: str, operation: str, key: str) -> Row | None:
        """(fingerprint, status, headers, body) of the kept answer, unless it has expired."""

    @classmethod
    def keep(cls, user_id: str, operation: str, key: str, **answer: Any) -> None:
        """Keep an answer; raises IntegrityError when another request was first."""


class Retry:
    """One request with a key: asks for the kept answer, and keeps the one that was given.

    `fingerprints` gives what the body may have been kept as, and last, what it is kept as.
    """

    def __init__(
        self,
        answers: type[KeptAnswers],
        fingerprints: Callable[[bytes], list[str]],
        name: tuple[str, str, str],
        body: Any,
    ) -> None:
        self._answers = answers
        self._name = name
        # Keyed, because a body may hold a password and a plain hash of it is quickly guessed.
        self._fingerprints = partial(fingerprints, orjson.dumps(body, option=orjson.OPT_SORT_KEYS))

    def kept(self) -> Answer | None:
        """The answer given before, if there was one.

        Raises `IdempotencyKeyReused` if that was for another body, `IdempotencyKeyInUse` while the
        first request is still at work.
        """
        if not self._answers.is_free(*self._name):
            raise IdempotencyKeyInUse
        row = self._answers.find(*self._name)
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
            self._answers.keep(
                *self._name,
                fingerprint=self._fingerprints()[-1],
                status=answer.status,
                headers=orjson.dumps(headers).decode(),
                body=answer.body,
            )
        except sa.exc.IntegrityError:
            raise IdempotencyKeyInUse from None
