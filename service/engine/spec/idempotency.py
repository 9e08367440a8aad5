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
    """A table of answers, each stored under a user's id, an operation and a key."""

    @classmethod
    def is_free(cls, user_id: str, operation: str, key: str) -> bool:
        """Whether no other request with this user, operation and key is in progress."""

    @classmethod
    def find(cls, user_id: str, operation: str, key: str) -> Row | None:
        """(fingerprint, status, headers, body) of the stored answer, unless it has expired."""

    @classmethod
    def keep(cls, user_id: str, operation: str, key: str, **answer: Any) -> None:
        """Store an answer; raises IntegrityError if another request was first."""


class Retry:
    """A request with a key: looks up the stored answer, and stores a new one.

    `fingerprints` gives the hashes that may be stored for the body, the one to store now last.
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
        """The answer to the first request with this key, if there was one.

        Raises `IdempotencyKeyReused` if that had another body, `IdempotencyKeyInUse` while it is
        still in progress.
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
        """Store the answer in the same transaction as the work; raises `IdempotencyKeyInUse` if
        another request was first."""
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
