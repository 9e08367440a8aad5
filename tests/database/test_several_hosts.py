"""DATABASE_URL with several hosts: the one that takes writes is found, now and after it moves."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from service.engine.database import hosts as hosts_module
from service.engine.database.hosts import TIMEOUT_SECONDS, Hosts, Place
from service.engine.database.postgresql import Connection
from tests.kit import databases
from tests.kit.postgres_cluster import Cluster, cluster
from tests.kit.proxies import pgbouncer
from tests.kit.serving import Person, Server, serving
from tests.kit.smtp import until


@pytest.fixture
def pair() -> Iterator[tuple[Cluster, Cluster]]:
    """A primary and its standby, which tests promote."""
    with cluster() as primary, primary.standby() as standby:
        yield primary, standby


def at(*servers: Cluster, more: str = "") -> str:
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"postgresql://postgres@{hosts}/byline{more}"


def posts_on(server: Cluster) -> set[str]:
    return {title for (title,) in server.execute("SELECT title FROM posts", "byline")}


def post_at_once(anna: Person, name: str) -> set[str]:
    titles = [f"{name} {number}" for number in range(12)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(anna.post, titles))
    return set(titles)


def follow(standby: Cluster, primary: Cluster) -> None:
    until(lambda: standby.has_caught_up(primary))


def promote(standby: Cluster) -> None:
    assert standby.execute("SELECT pg_promote()") == [(True,)]


def test_writes_follow_the_primary_and_reads_the_standby(
    pair: tuple[Cluster, Cluster], tmp_path: Path
) -> None:
    primary, standby = pair
    primary.create("byline")
    follow(standby, primary)
    url = at(standby, primary)
    with serving(tmp_path, database_url=url, database_replica_url=url) as server:
        anna = server.sign_up()
        before = post_at_once(anna, "Before")
        assert posts_on(primary) == before
        follow(standby, primary)
        connected = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'byline'"
        until(lambda: server.client().get("/api/posts").status_code == 200)
        until(lambda: standby.execute(connected)[0][0] >= 1)
        primary.kill()
        refused = anna.http.post("/api/posts", json={"title": "None", "content": "None"})
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert server.client().get("/health/live").status_code == 200
        until(lambda: server.client().get("/health/ready").status_code == 503)
        promote(standby)
        until(lambda: server.client().get("/health/ready").status_code == 200)
        after = post_at_once(anna, "After")
        assert posts_on(standby) == before | after


@pytest.mark.parametrize("way", ["direct", "by way of PgBouncer"])
def test_no_write_fails_at_a_primary_that_has_become_read_only(
    way: str, pair: tuple[Cluster, Cluster], tmp_path: Path
) -> None:
    """Its connections stay open: the service asks elsewhere, and leaves it alone from then on."""
    old, new = pair
    schema = old.create("byline")
    url = at(old, new)
    with ExitStack() as stack:
        if way != "direct":
            ports = [stack.enter_context(pgbouncer(one)).rpartition(":")[2] for one in pair]
            hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
            url = f"postgresql://postgres@{hosts}/byline?pgbouncer=true"
        server = stack.enter_context(serve(tmp_path, schema, url))
        anna = server.sign_up()
        before = post_at_once(anna, "Before")
        follow(new, old)
        old.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        promote(new)
        old.execute("SELECT pg_reload_conf()")
        until(lambda: old.execute("SHOW transaction_read_only") == [("on",)])
        after = post_at_once(anna, "After")
        assert posts_on(old) == before
        assert posts_on(new) == before | after


@contextmanager
def serve(folder: Path, schema: str, url: str) -> Iterator[Server]:
    """A server by way of an address that migrations may not use."""
    databases.upgrade(schema)
    with serving(folder, database_url=url, is_migrated=True) as server:
        yield server


@pytest.fixture(scope="module")
def alone() -> Iterator[Cluster]:
    with cluster(listen_addresses="127.0.0.1,127.0.0.2") as server:
        yield server


def test_silent_servers_cost_four_seconds_in_all_and_later_connections_nothing(
    alone: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts_module, "PAUSE_SECONDS", 0)
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = [one.getsockname()[1] for one in silent]
        hosts = Hosts("read-write")
        options = {"host": ",".join(["127.0.0.1"] * 4), "user": "postgres"}
        options["port"] = ",".join(map(str, [*ports, alone.port]))
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            connect(hosts, options, most=2 * TIMEOUT_SECONDS)
        connect(hosts, options, most=TIMEOUT_SECONDS)  # the third one
        connect(hosts, options, most=0)


def connect(hosts: Hosts, options: dict[str, Any], *, most: float) -> None:
    """Connect within so many seconds, and one for a busy machine."""
    began = time.monotonic()
    try:
        opened, place = hosts.connect(Connection, options)
        opened.close()
        assert hosts.is_current(place)
    finally:
        assert time.monotonic() - began < most + 1


@pytest.mark.parametrize(("wanted", "is_sticky"), [("read-write", True), ("any", False)])
def test_a_name_with_several_addresses_is_asked_at_all_of_them(
    wanted: str, is_sticky: bool, alone: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = ["127.0.0.9", "127.0.0.1"]  # nobody listens at the first

    def resolve(name: str, *_: Any, **__: Any) -> list[Any]:
        assert name == "db.example.com"
        return [(None, None, None, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    hosts = Hosts(wanted)
    options = {"host": "db.example.com", "port": alone.port, "user": "postgres"}
    opened, place = hosts.connect(Connection, options)
    opened.close()
    assert place == ("db.example.com", str(alone.port), "127.0.0.1")
    assert hosts.is_current(place)
    assert hosts.is_current(place._replace(address="127.0.0.9")) is not is_sticky


def test_a_primary_that_answers_after_another_was_found_is_not_used(alone: Cluster) -> None:
    """It was frozen, and does not know yet that it is deposed."""
    hosts = Hosts("read-write")
    options = {"host": "127.0.0.1,127.0.0.2", "port": alone.port, "user": "postgres"}

    class Frozen(Connection):
        @classmethod
        def connect(cls, **asked: Any) -> Any:
            if asked["host"] == "127.0.0.1":
                found, _ = hosts.connect(Connection, {**options, "host": "127.0.0.2"})
                found.close()
            return Connection.connect(**asked)

    opened, place = hosts.connect(Frozen, options)
    opened.close()
    assert place.host == "127.0.0.2"
    assert hosts.is_current(place)


def test_of_several_hosts_an_unknown_name_does_not_matter(alone: Cluster) -> None:
    options = {"host": "nowhere.invalid,127.0.0.1", "port": alone.port, "user": "postgres"}
    connect(Hosts("read-write"), options, most=10)


def test_a_server_may_come_back_while_another_thread_still_counts_on_the_failure(
    alone: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = Hosts("read-write")
    nowhere = {"host": "nowhere.invalid,absent.invalid", "port": alone.port, "user": "postgres"}

    def as_it_comes_back() -> float:
        hosts._failure = None
        return 0.0

    with pytest.raises(psycopg.OperationalError):
        hosts.connect(Connection, nowhere)
    monkeypatch.setattr(hosts_module, "time", SimpleNamespace(monotonic=as_it_comes_back))
    with pytest.raises(psycopg.OperationalError, match="invalid"):
        hosts.connect(Connection, nowhere)


def test_servers_are_sorted_while_other_threads_find_out_which_are_silent() -> None:
    hosts = Hosts("read-write")

    class Host(str):
        """A name that is compared as another thread finds one more server silent."""

        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            hosts._silent.add(Place("127.0.0.1", str(len(hosts._silent))))
            return str.__eq__(self, other)

    hosts._silent |= {Place("127.0.0.1", "5432"), Place("127.0.0.1", "5433")}
    assert hosts._rank(Place(Host("127.0.0.2"), "5432")) == (False, True)
    assert hosts._rank(Place(Host("127.0.0.1"), "5432")) == (True, True)
