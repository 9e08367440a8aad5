"""Finds the server to connect to, of several hosts and all their addresses (libpq, 34.1.1.3).

libpq asks them in the order in which they are named, waits the full time for each, and starts over
for each connection. Here a server that answered is asked first, one that did not answer is asked
last, and the time for all together is limited: after the primary is lost, only the first connection
has to look for the new one.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

import psycopg

from service.engine.database.errors import READ_ONLY

ONE_TIMEOUT_SECONDS = 3  # after this the only server counts as down
TIMEOUT_SECONDS = 2  # the same for one of several; psycopg cannot wait for less
MOST_SILENT = 2  # a search ends after this many time-outs; the next one asks other servers first
PAUSE_SECONDS = 0.2  # between two searches, so that requests do not keep the standbys busy
ANY, PREFER_STANDBY = "any", "prefer-standby"  # values of target_session_attrs
WRITABLE = {  # values that ask for a server that takes writes: a question to it, and its answer
    "read-write": ("SHOW transaction_read_only", "off"),
    "primary": ("SELECT pg_is_in_recovery()", False),
}

C = TypeVar("C", bound=psycopg.Connection[Any])


class Place(NamedTuple):
    """A server: its host, its port and its address, each empty if libpq is to find it."""

    host: str
    port: str
    address: str = ""

    def options(self) -> dict[str, str]:
        """As libpq calls them."""
        named = {"host": self.host, "port": self.port, "hostaddr": self.address}
        return {name: value for name, value in named.items() if value}


class Hosts:
    """The servers that an address names, and what is known of them.

    Only connections to one server are used, `_home`, where the last one was made: once the primary
    has moved, older ones lead to a deposed primary. With target_session_attrs=any, several servers
    may be in use, and a name with several addresses spreads the load.
    """

    def __init__(self, wanted: str, *, pooled: bool = False) -> None:
        """`wanted` is a value of target_session_attrs; `pooled` means by way of PgBouncer."""
        self._wanted = wanted
        self._question = WRITABLE.get(wanted) if pooled else None
        self._home: Place | None = None
        self._silent: set[Place] = set()
        self._turn = threading.Lock()  # to compare `_home` and change it
        self._failure: tuple[float, psycopg.Error] | None = None

    def connect(self, kind: type[C], options: dict[str, Any]) -> tuple[C, Place]:
        """A connection with these options of psycopg, and where it leads.

        Raises psycopg's errors.
        """
        failure = self._failure  # which another thread may remove at any moment
        if failure and time.monotonic() < failure[0] + PAUSE_SECONDS:
            raise psycopg.OperationalError(*failure[1].args)
        home = self._home
        failures: dict[Place, psycopg.Error] = {}
        silent = 0
        for place, asked in self._places(options):
            try:
                connection = self._checked(kind.connect(**asked))
            except psycopg.Error as error:
                failures[place] = error
                if not isinstance(error, psycopg.errors.ConnectionTimeout):
                    self._silent.discard(place)
                    continue
                self._silent.add(place)
                silent += 1
                if silent == MOST_SILENT:
                    break
            else:
                self._silent.discard(place)
                if self._moves(home, place):
                    return connection, place
                connection.close()
                return self.connect(kind, options)
        raise self._failed(failures)

    def is_current(self, place: Place | None) -> bool:
        """Whether a connection that leads there may be used on."""
        return self._wanted == ANY or place == self._home

    def misses(self, error: BaseException) -> bool:
        """Whether an error says that this is not the server that was wanted: it takes no writes."""
        return self._wanted in WRITABLE and getattr(error, "sqlstate", None) == READ_ONLY

    def leave(self) -> None:
        """Look for another server, if there is a choice, because this one is not the best."""
        if self._wanted == PREFER_STANDBY:
            self._home = None

    def _moves(self, home: Place | None, place: Place) -> bool:
        """Make a place the home; False if another thread has found another one meanwhile. A frozen
        primary, once deposed, still answers those who were waiting for it."""
        with self._turn:
            is_overtaken = self._wanted != ANY and self._home not in (home, place)
            if not is_overtaken:
                self._home, self._failure = place, None
            return not is_overtaken

    def _checked(self, connection: C) -> C:
        """The connection, if its server takes writes or does not have to.

        libpq believes what it is told when it connects, and PgBouncer repeats what its server said
        earlier.
        """
        if self._question:
            question, right = self._question
            if connection.execute(question).fetchone() != (right,):
                connection.close()
                raise psycopg.OperationalError("the session is read-only")
        return connection

    def _failed(self, failures: dict[Place, psycopg.Error]) -> psycopg.Error:
        if len(failures) == 1:
            return failures.popitem()[1]
        lines = (f"{host} {port}: {_reason(error)}" for (host, port, _), error in failures.items())
        failure = psycopg.OperationalError("; ".join(dict.fromkeys(lines)))
        self._failure = time.monotonic(), failure
        return failure

    def _places(self, options: dict[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Each server to ask, best first, with the options for it."""
        servers = _servers(options)
        if options.get("load_balance_hosts") == "random":
            random.shuffle(servers)
        rounds: list[dict[str, Any]] = [{}]
        if self._wanted == PREFER_STANDBY:
            rounds = [{"target_session_attrs": wanted} for wanted in ("standby", ANY)]
        for wanted in rounds:
            for server in sorted(servers, key=self._rank):
                addresses = _addresses(server)
                alone = len(servers) == len(addresses) == 1
                timeout = ONE_TIMEOUT_SECONDS if alone else TIMEOUT_SECONDS
                for place in sorted(addresses, key=self._rank):
                    yield place, options | place.options() | wanted | {"connect_timeout": timeout}

    def _rank(self, place: Place) -> tuple[bool, bool]:
        """Sorts silent servers last, and first the one that was found before. A place without an
        address stands for all addresses of its host."""
        known = slice(3 if place.address else 2)
        silent_ones = self._silent.copy()  # other threads change it, and a copy is made at once
        silent = any(one[known] == place[known] for one in silent_ones)
        is_home = self._home is not None and self._home[known] == place[known]
        return silent, not (is_home and self._wanted != ANY)


def _reason(error: psycopg.Error) -> str:
    """The reason at the end of libpq's first line, which begins with the server."""
    return str(error).partition("\n")[0].rpartition(" failed: ")[2]


def _servers(options: dict[str, Any]) -> list[Place]:
    """The servers as they are named; one without a name if libpq is to find it (no `host`, or a
    `hostaddr`)."""
    if not options.get("host") or options.get("hostaddr"):
        return [Place("", "")]
    hosts = options["host"].split(",")
    ports = str(options.get("port", "")).split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    return list(map(Place, hosts, ports))


def _addresses(server: Place) -> list[Place]:
    """The server once for each address of its name; unchanged if none is found: libpq says so."""
    if not server.host or server.host.startswith(("/", "@")):
        return [server]
    try:
        found = socket.getaddrinfo(server.host, None, type=socket.SOCK_STREAM)
    except OSError:
        return [server]
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
    return [server._replace(address=address) for address in addresses]
