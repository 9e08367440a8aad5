"""A PostgreSQL with a standby that follows it, and a Byline on both."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.engine.work import replica
from tests.kit.postgres_cluster import Cluster, cluster
from tests.kit.serving import Server, serving
from tests.kit.smtp import until


@dataclass
class Pair:
    """The two databases, and servers on them that see the address of a client in a header."""

    folder: Path
    primary: Cluster
    standby: Cluster
    stack: ExitStack = field(default_factory=ExitStack)
    name: str = field(default_factory=lambda: f"byline_{secrets.token_hex(6)}")

    def __post_init__(self) -> None:
        self.primary.create(self.name)

    def serve(self, **settings: Any) -> Server:
        return self.stack.enter_context(
            serving(
                self.folder,
                database_url=self.primary.url(self.name),
                database_replica_url=self.standby.url(self.name),
                trusted_proxies="127.0.0.1",
                **settings,
            )
        )

    def follow(self, server: Server) -> None:
        """Wait until the standby has everything and the server reads there."""
        until(lambda: self.standby.has_caught_up(self.primary))
        until(lambda: came_from(server, reader(server)) == "replica")


def reader(server: Server, token: str | None = None) -> httpx.Client:
    """A client at an address of its own."""
    address = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"
    return server.client(token, **{"X-Forwarded-For": address})


def came_from(server: Server, client: httpx.Client, path: str = "/api/users") -> str:
    """Who has answered a public read: replica, primary, or failed for the one after the other."""
    before = counts(server)
    assert client.get(path).status_code == 200
    after = counts(server)
    [outcome] = [name for name in after if after[name] > before[name]]
    return outcome


def counts(server: Server) -> dict[str, float]:
    """How many public reads each outcome has had."""
    name = "byline_replica_reads_total"
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    found = [line.split('"') for line in lines if line.startswith(f"{name}{{")]
    return {outcome: float(value.strip("} ")) for _, outcome, value in found}


@pytest.fixture(scope="session")
def databases() -> Iterator[tuple[Cluster, Cluster]]:
    with cluster() as primary, primary.standby() as standby:
        yield primary, standby


@pytest.fixture
def pair(
    databases: tuple[Cluster, Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pair]:
    monkeypatch.setattr(replica, "CHECK_INTERVAL_SECONDS", 0.05)
    pair = Pair(tmp_path, *databases)
    with pair.stack:
        yield pair
