"""PostgreSQL and Valkey from the wheels that `make test` installs, for as long as a run takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from redis import Redis

from tests.kit import valkey as stores
from tests.kit.postgres_cluster import Cluster, cluster


@dataclass(frozen=True)
class PostgreSQL:
    """A server that listens on 127.0.0.1; `pid` is that of its first process."""

    cluster: Cluster
    pid: int

    def create(self, database: str, template: str = "template1") -> str:
        """The URL of a new database, which replaces one of the same name."""
        self.cluster.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        self.cluster.execute(f"CREATE DATABASE {database} TEMPLATE {template} STRATEGY file_copy")
        return self.cluster.url(database)


@contextmanager
def postgresql(**settings: Any) -> Iterator[PostgreSQL]:
    """A server that waits for the disk at each commit; the other settings are its defaults."""
    with cluster(fsync="on", **settings) as server:
        [(pid,)] = server.execute("SELECT pg_read_file('postmaster.pid')")
        yield PostgreSQL(server, int(pid.split()[0]))


@dataclass(frozen=True)
class Valkey:
    url: str
    pid: int


@contextmanager
def valkey() -> Iterator[Valkey]:
    """A store with its default settings."""
    server = stores.launch()
    try:
        with Redis.from_url(server.connection_url) as client:
            pid = client.info("server")["process_id"]
        yield Valkey(server.connection_url, pid)
    finally:
        server.stop()
