"""What this folder uses of redis-py."""

from __future__ import annotations

from service.engine.importing import without

# OpenTelemetry, in which redis-py can count what it does: 3 MB of each process.
with without({"opentelemetry.sdk.metrics": []}):
    from redis.asyncio import SSLConnection
    from redis.asyncio.connection import ConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.connection import DefaultParser
    from redis.crc import key_slot
    from redis.exceptions import (
        AskError,
        ClusterDownError,
        MovedError,
        NoScriptError,
        TryAgainError,
    )

__all__ = [
    "AskError",
    "ClusterDownError",
    "ConnectionPool",
    "DefaultParser",
    "MovedError",
    "NoBackoff",
    "NoScriptError",
    "Retry",
    "SSLConnection",
    "TryAgainError",
    "key_slot",
]
