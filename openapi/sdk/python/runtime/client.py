"""What the synchronous and the asynchronous client are, apart from their operations."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeAlias, TypeVar
from urllib.parse import urlsplit

import httpx

from ..errors import ApiError
from .calls import AsyncCalls, Calls
from .exchange import Exchange, Exchanges
from .keeper import AuthChange, Keeper
from .session import Session, SessionOperations
from .stores import AsyncStore, MemoryStore, Store
from .tasks import Tasks
from .threads import Threads

Timeout: TypeAlias = httpx.Timeout | float | None
# One text, or members as the body of the operation has them; None to give up.
Proof: TypeAlias = str | Mapping[str, Any] | None
C = TypeVar("C", bound=Calls | AsyncCalls)


class _Client(Generic[C]):
    """What both have in common; a subclass of either has the operations."""

    _operations: ClassVar[SessionOperations]
    _user_agent: ClassVar[str]
    _calls: C

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._calls.session.exchanges.origin!r})"

    def _session(
        self,
        exchanges: Exchanges,
        token: str | None,
        store: Store | AsyncStore | None,
        proofs: tuple[Callable[[Any], Any] | None, Callable[[Any], Any] | None],
        on_auth_change: Callable[[AuthChange], object] | None,
    ) -> Session:
        kept = _store(store, token)
        keeper = Keeper(exchanges, self._operations.refresh, kept, on_auth_change)
        return Session(exchanges, keeper, self._operations, _token(token), *proofs)


class BaseClient(_Client[Calls]):
    """A client for threads."""

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        store: Store | None = None,
        timeout: Timeout = 10.0,
        retries: int = 3,
        second_factor: Callable[[ApiError], Proof] | None = None,
        reauthenticate: Callable[[ApiError], Proof] | None = None,
        on_auth_change: Callable[[AuthChange], object] | None = None,
        on_exchange: Callable[[Exchange], object] | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        exchanges = Exchanges(_origin(base_url), self._user_agent, retries, on_exchange)
        proofs = (second_factor, reauthenticate)
        session = self._session(exchanges, token, store, proofs, on_auth_change)
        self._calls = Calls(Threads(http, timeout), session)

    def close(self) -> None:
        """Close the connections, unless they are of an `httpx.Client` that was given."""
        self._calls.threads.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class BaseAsyncClient(_Client[AsyncCalls]):
    """A client for tasks of asyncio."""

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        store: Store | AsyncStore | None = None,
        timeout: Timeout = 10.0,
        retries: int = 3,
        second_factor: Callable[[ApiError], Proof | Awaitable[Proof]] | None = None,
        reauthenticate: Callable[[ApiError], Proof | Awaitable[Proof]] | None = None,
        on_auth_change: Callable[[AuthChange], object] | None = None,
        on_exchange: Callable[[Exchange], object] | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        exchanges = Exchanges(_origin(base_url), self._user_agent, retries, on_exchange)
        proofs = (second_factor, reauthenticate)
        session = self._session(exchanges, token, store, proofs, on_auth_change)
        self._calls = AsyncCalls(Tasks(http, timeout), session)

    async def aclose(self) -> None:
        """Close the connections, unless they are of an `httpx.AsyncClient` that was given."""
        await self._calls.tasks.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


def _origin(base_url: str) -> str:
    """The address of the service, to which the paths of the operations are added."""
    parts = urlsplit(base_url.strip())
    more = parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme not in {"http", "https"} or not parts.hostname or more:
        raise ValueError("base_url is the address of the service, such as https://api.example.com")
    return base_url.strip().rstrip("/")


def _token(token: str | None) -> str | None:
    """The token, without what is around it in files and environment variables."""
    if token is not None and not re.fullmatch("[!-~]+", token := token.strip()):
        raise ValueError("token is empty, or has characters that no token has")
    return token


def _store(store: Store | AsyncStore | None, token: str | None) -> Store | AsyncStore:
    if token is not None and store is not None:
        raise ValueError("a token is never renewed, so there is nothing to store")
    return MemoryStore() if store is None else store
