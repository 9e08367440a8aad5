"""Keeps the tokens of a session, and renews them in time.

They are renewed once for all threads or tasks, under the lock of the client, and once for all
processes that share a store, under the lock of the store. A call that has waited for a lock finds
the new tokens. A lost answer to a renewal does no harm: the service gives the same tokens again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, TypeVar
from uuid import uuid4

import httpx

from ..errors import ApiError, UnexpectedAnswer
from ..types import Unset
from .exchange import Exchanges, value_of
from .operations import Operation, Request
from .steps import Lock, Locked, Steps, Wait, run
from .stores import AsyncStore, Store, Tokens

T = TypeVar("T")
AuthChange: TypeAlias = Literal["signed-in", "refreshed", "signed-out"]

EARLY_SECONDS = 10.0  # before an access token expires, it is renewed
EARLY_PART = 0.2  # or in this last part of a short life
BUSY_SECONDS = 5.0  # between attempts to renew a token that is still good
LOOK_SECONDS = 0.05  # between looks whether another process has finished
LONGEST_LOOK_SECONDS = 60.0  # then that process is stuck; the service copes with two renewals


@dataclass(slots=True)
class Keeper:
    """The tokens, None without a session. `refresh` is the operation that renews them, None if
    the API has none."""

    exchanges: Exchanges
    refresh: tuple[Operation[Any], Request] | None
    store: Store | AsyncStore
    on_auth_change: Callable[[AuthChange], Any] | None
    tokens: Tokens | None = field(default=None, init=False, repr=False)
    _saved: bool = field(default=True, init=False)  # otherwise the store has older tokens
    _events: list[AuthChange] = field(default_factory=list[AuthChange], init=False)
    _failure: Exception | None = field(default=None, init=False, repr=False)  # of a renewal

    def current(self, *, fresh: bool) -> Steps[Tokens | None]:
        """The tokens; `fresh` ones are renewed if they are about to expire."""
        if self.tokens is None:
            stored = yield from self._load()
            self.tokens = self.tokens or stored  # unless somebody has signed in meanwhile
        if fresh and self.tokens is not None and time.time() >= self.tokens.renew_at:
            yield from self.renew(self.tokens, spent=False)
        return self.tokens

    def renew(self, used: Tokens, *, spent: bool) -> Steps[None]:
        """Find or get other tokens than those that were used, which are spent or will be soon."""
        if self.refresh is None or used.refresh_token is None:
            return
        failure = self._failure
        yield from self._locked(self._renewed(used, *self.refresh, failure, spent=spent))

    def renewed(self, operation: Operation[Any], request: Request) -> Steps[Any]:
        """The answer of the operation that renews tokens, whatever they are."""
        return (yield from self._locked(self._renewed_anyway(operation, request)))

    def adopt(self, value: object, *, new: bool) -> Steps[None]:
        """Use the tokens of an answer from now on."""
        event: AuthChange = "signed-in" if new else "refreshed"
        session = uuid4().hex if new or self.tokens is None else self.tokens.session
        yield from self._locked(self._replace(self._made(value, session), event))

    def forget(self) -> Steps[None]:
        """The session has ended."""
        yield from self._locked(self._replace(None, "signed-out"))

    def _locked(self, steps: Steps[T]) -> Steps[T]:
        """The result of the steps, taken under the lock of the client. Changes are told after its
        release, because `on_auth_change` may call the client."""
        lock: Locked = yield Lock()
        try:
            return (yield from steps)
        finally:
            events, self._events = self._events, []
            lock.release()
            if self.on_auth_change is not None:
                for event in events:
                    yield from run(self.on_auth_change, event)

    def _renewed(
        self,
        used: Tokens,
        operation: Operation[Any],
        request: Request,
        failure: Exception | None,
        *,
        spent: bool,
    ) -> Steps[None]:
        if self.tokens != used:
            return  # somebody else was faster
        if self._failure is not None and self._failure is not failure:
            raise self._failure  # somebody else has tried meanwhile, for all who waited
        unlock = yield from self._lock_store()
        try:
            stored = yield from self._load()
            latest = stored if self._saved else used
            if latest is None:
                self._changed(None, "signed-out")
            elif latest.access_token != used.access_token and time.time() < latest.renew_at:
                self._changed(latest, "refreshed" if latest.owner == used.owner else "signed-in")
            elif spent or time.time() >= latest.expires_at:
                yield from self._refresh(operation, request, latest)
            else:
                yield from self._refresh_early(operation, request, latest)
        finally:
            yield from run(unlock)

    def _renewed_anyway(self, operation: Operation[Any], request: Request) -> Steps[Any]:
        unlock = yield from self._lock_store()
        try:
            latest = (yield from self._load()) if self._saved else self.tokens
            return (yield from self._refresh(operation, request, latest))
        finally:
            yield from run(unlock)

    def _refresh_early(
        self, operation: Operation[Any], request: Request, tokens: Tokens
    ) -> Steps[None]:
        """If the service is busy, go on with the token that is still good."""
        try:
            yield from self._refresh(operation, request, tokens, retries=0)
        except (ApiError, UnexpectedAnswer, httpx.TransportError):
            if self.tokens is None:
                raise
            self.tokens = replace(tokens, renew_at=time.time() + BUSY_SECONDS)

    def _refresh(
        self,
        operation: Operation[Any],
        request: Request,
        tokens: Tokens | None,
        retries: int | None = None,
    ) -> Steps[Any]:
        """The answer to a renewal, whose tokens are used from now on. A refusal ends the session,
        and is raised."""
        bearer = None if tokens is None else tokens.refresh_token
        try:
            exchange = self.exchanges.exchange(operation, request, bearer, retries=retries)
            value = value_of(operation, (yield from exchange))
        except (ApiError, UnexpectedAnswer, httpx.TransportError) as error:
            self._failure = error
            refused = isinstance(error, ApiError) and error.status in {401, 403}
            if refused and tokens is not None:
                yield from self._save(None, "signed-out")
            raise
        session = "" if tokens is None else tokens.session
        yield from self._save(self._made(value, session), "refreshed")
        return value

    def _replace(self, tokens: Tokens | None, event: AuthChange) -> Steps[None]:
        unlock = yield from self._lock_store()
        try:
            yield from self._save(tokens, event)
        finally:
            yield from run(unlock)

    def _save(self, tokens: Tokens | None, event: AuthChange) -> Steps[None]:
        self._changed(tokens, event)
        self._saved = False
        yield from run(self.store.save, tokens)
        self._saved = True

    def _changed(self, tokens: Tokens | None, event: AuthChange) -> None:
        self.tokens = tokens
        self._events.append(event)

    def _load(self) -> Steps[Tokens | None]:
        tokens: Tokens | None = yield from run(self.store.load)
        return tokens if tokens is not None and tokens.origin == self.exchanges.origin else None

    def _lock_store(self) -> Steps[Callable[[], Any]]:
        deadline = time.monotonic() + LONGEST_LOOK_SECONDS
        while time.monotonic() < deadline:
            unlock: Callable[[], Any] | None = yield from run(self.store.lock)
            if unlock is not None:
                return unlock
            yield Wait(LOOK_SECONDS)
        return _nothing

    def _made(self, value: Any, session: str) -> Tokens:
        """The tokens of an answer. How long they last counts from now, by this machine's clock."""
        refresh_token, seconds = getattr(value, "refresh_token", None), float(value.expires_in)
        return Tokens(
            value.access_token,
            None if isinstance(refresh_token, Unset) else refresh_token,
            time.time() + seconds - min(EARLY_SECONDS, seconds * EARLY_PART),
            time.time() + seconds,
            self.exchanges.origin,
            session,
        )


def _nothing() -> None:
    """There is nothing to unlock."""
