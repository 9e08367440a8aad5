"""Calls operations on behalf of whoever is signed in, and proves who that is when it is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import httpx

from ..errors import ApiError
from ..models.problem import Problem
from .exchange import Exchanges, value_of
from .keeper import Keeper
from .operations import Operation, Request
from .steps import Steps, run
from .stores import Tokens

T = TypeVar("T")

# With these, the access token is not good any more, but there may be another.
SPENT = frozenset({"token-expired", "invalid-token", "session-revoked"})
MAX_RENEWALS = 3  # of a call: a token may have expired again before a slow request arrives
TOO_OLD = "authentication-too-old"
SECOND_FACTOR = "second-factor-required"


@dataclass(frozen=True, slots=True)
class SessionOperations:
    """The operations that sessions are made of, with their requests; None if the API lacks one."""

    refresh: tuple[Operation[Any], Request] | None = None
    complete: tuple[Operation[Any], Request] | None = None
    prove: tuple[Operation[Any], Request] | None = None


@dataclass(slots=True)
class Session:
    """The state of a client. `token` is one that is never renewed, a personal token for example;
    the other two ask the user."""

    exchanges: Exchanges
    keeper: Keeper
    operations: SessionOperations
    token: str | None = field(repr=False)
    second_factor: Callable[[Any], Any] | None
    reauthenticate: Callable[[Any], Any] | None

    def call(self, operation: Operation[T], request: Request) -> Steps[T]:
        """What the operation answers."""
        value: T
        if operation.bearer == "refresh":
            value = yield from self.keeper.renewed(operation, request)
            return value
        try:
            answer = yield from self.send(operation, request)
            value = value_of(operation, answer)
        except ApiError as error:
            second = yield from self._second_factor(operation, request, error)
            if second is None:
                raise
            value = value_of(second[0], (yield from self.send(*second)))
        if operation.gives_tokens:
            yield from self.keeper.adopt(value, new=operation.bearer == "none")
        if operation.ends_session:
            yield from self.keeper.forget()
        return value

    def send(
        self, operation: Operation[Any], request: Request, *, stream: bool = False
    ) -> Steps[httpx.Response]:
        """The answer, before which tokens are renewed and proofs are given as it demands."""
        mended: Counter[str] = Counter()
        refusal: tuple[ApiError, str] | None = None
        while True:
            tokens = yield from self._tokens(operation)
            # Who has signed in meanwhile must not do what another has asked for.
            if refusal is not None and (tokens is None or tokens.owner != refusal[1]):
                raise refusal[0]
            bearer = self._bearer(operation, tokens)
            try:
                exchange = self.exchanges.exchange(operation, request, bearer, stream=stream)
                return (yield from exchange)
            except ApiError as error:
                most = MAX_RENEWALS if error.code in SPENT else 1
                if tokens is None or operation.ends_session or mended[error.code] == most:
                    raise
                mended[error.code] += 1
                if not (yield from self._mend(error, tokens)):
                    raise
                refusal = error, tokens.owner

    def leave(self, operation: Operation[Any], request: Request) -> Steps[None]:
        """End the session here and at the service. If that cannot be told, the session stays."""
        if (yield from self._tokens(operation)) is None:
            return
        try:
            yield from self.call(operation, request)
        except ApiError as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise
            yield from self.keeper.forget()  # it has ended already

    def _tokens(self, operation: Operation[Any]) -> Steps[Tokens | None]:
        if operation.bearer == "none":
            return None
        if self.token is not None and self.keeper.tokens is None:
            return None
        return (yield from self.keeper.current(fresh=operation.bearer == "access"))

    def _bearer(self, operation: Operation[Any], tokens: Tokens | None) -> str | None:
        if operation.bearer == "none":
            return None
        if tokens is None:
            return self.token
        # What accepts either is sent the one that does not expire so soon.
        return (operation.bearer == "either" and tokens.refresh_token) or tokens.access_token

    def _mend(self, error: ApiError, tokens: Tokens) -> Steps[bool]:
        """Whether there is a reason now to send the request again."""
        if error.code in SPENT:
            yield from self.keeper.renew(tokens, spent=True)
            return True
        prove = self.operations.prove
        if error.code != TOO_OLD or self.reauthenticate is None or prove is None:
            return False
        proof = yield from run(self.reauthenticate, error)
        now = self.keeper.tokens
        if proof is None or now is None or now.owner != tokens.owner:
            return False
        operation, request = prove
        yield from self.call(operation, {**request, "json": _members(proof, "password")})
        return True

    def _second_factor(
        self, operation: Operation[Any], request: Request, error: ApiError
    ) -> Steps[tuple[Operation[Any], Request] | None]:
        """What to send instead if the error demands a second factor, and the user has it: the same
        with the factor, or to the operation that takes the `challenge` of the error."""
        asked = operation.gives_tokens and error.code == SECOND_FACTOR
        if not asked or self.second_factor is None:
            return None
        factor = yield from run(self.second_factor, error)
        if factor is None:
            return None
        members = _challenge(error.problem) | _members(factor, "code")
        if "challenge" in members and self.operations.complete is not None:
            operation, request = self.operations.complete
        return operation, {**request, "json": members}


def _challenge(problem: Problem) -> dict[str, Any]:
    challenge = getattr(problem, "challenge", None)
    return {"challenge": challenge} if isinstance(challenge, str) else {}


def _members(given: str | Mapping[str, Any], name: str) -> dict[str, Any]:
    """The members of a body: those that were given, or one text."""
    if isinstance(given, str):
        return {name: given}
    return {
        member: value.to_dict() if hasattr(value, "to_dict") else value
        for member, value in given.items()
    }
