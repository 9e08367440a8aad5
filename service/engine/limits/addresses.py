"""From the URL of a store to its servers; redis-py and `limits` read it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

from limits.storage import storage_from_string

from service.engine.limits.cluster import Cluster
from service.engine.limits.hits import Count, Hit, command
from service.engine.limits.redis_parts import ConnectionPool, NoBackoff, Retry, SSLConnection
from service.engine.limits.server import Access, Address, Failed, Server

SENTINEL_TIMEOUT_SECONDS = 0.25  # of each


class Servers(Protocol):
    """What a store consists of."""

    @property
    def is_slow(self) -> bool:
        """Whether requests do not wait for answers."""

    async def hit(self, hits: list[Hit], *, is_patient: bool = False) -> list[Count]:
        """The counts of hits, up to the first without room.

        Raises `Late`, unless the asker is patient; for a failure, what it was.
        """

    async def check(self) -> None:
        """Count something; raises what keeps the servers from it."""

    def close(self) -> None:
        """End all connections; they are made again when they are needed."""


def servers(url: str, failed: Failed) -> Servers:
    """The servers that a URL names, without connecting yet.

    Raises ValueError or `limits.errors.ConfigurationError` for a URL that cannot be used.
    """
    if url.startswith("redis+cluster:"):
        bridge = _bridge(url)
        return Cluster(bridge.options_from_uri.locations, _access(bridge.parsed_auth), failed)
    if url.startswith("redis+sentinel:"):
        patience = {
            "socket_timeout": SENTINEL_TIMEOUT_SECONDS,
            "socket_connect_timeout": SENTINEL_TIMEOUT_SECONDS,
            "retry": Retry(NoBackoff(), 0),
        }
        bridge = _bridge(url, sentinel_kwargs=patience)
        pool = bridge.storage.connection_pool
        access = _access(pool.connection_kwargs)
        return Server(_named_by(bridge.sentinel, pool.service_name), access, failed)
    pool = ConnectionPool.from_url(url.replace("redis+unix:", "unix:"))
    known = pool.connection_kwargs
    address = known.get("path") or (known.get("host", "localhost"), known.get("port", 6379))
    return Server(_always(address), _access(known, pool.connection_class), failed)


def _bridge(url: str, **options: Any) -> Any:
    """What `limits` reads of a URL that only it knows. It imports the client for Valkey, too."""
    read: Any = storage_from_string(f"async+{url}", implementation="redispy", **options)
    return read.bridge


def _access(known: dict[str, Any], connection_class: Any = None) -> Access:
    greetings = []
    if known.get("password") is not None:
        user = [known["username"]] if known.get("username") else []
        greetings.append(command("AUTH", *user, known["password"]))
    if known.get("client_name"):
        greetings.append(command("CLIENT", "SETNAME", known["client_name"]))
    if known.get("db"):
        greetings.append(command("SELECT", known["db"]))
    if not (isinstance(connection_class, type) and issubclass(connection_class, SSLConnection)):
        return Access(greetings)
    return Access(greetings, connection_class(**known).ssl_context.get())


def _always(address: Address) -> Callable[[], Awaitable[Address]]:
    async def found() -> Address:
        return address

    return found


def _named_by(sentinel: Any, service: str) -> Callable[[], Awaitable[Address]]:
    async def found() -> Address:
        try:
            address: Address = await sentinel.discover_master(service)
            return address
        finally:
            for client in sentinel.sentinels:
                with suppress(Exception):  # it may be the one that does not answer
                    await client.aclose()

    return found
