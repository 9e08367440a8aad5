"""PostgreSQL: every wait has a time limit, and a single statement takes one round trip."""

from __future__ import annotations

import select
import time
from functools import partial
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.errors import _WaitTimeout
from psycopg.pq import TransactionStatus
from psycopg.waiting import Wait

from service.engine.database.connections import QUIET_SECONDS
from service.engine.database.hosts import ANY, Hosts, Place
from service.engine.database.libpq import BEGIN, COMMIT, Parameters, Result, Statement, Statements
from service.engine.work.greenlets import is_here
from service.engine.work.sockets import Socket

ANSWER_TIMEOUT_SECONDS = 4.5  # longer than statement_timeout and lock_timeout, so those come first
TIMEOUTS = {  # milliseconds
    "statement_timeout": 4000,
    "lock_timeout": 3000,
    "idle_in_transaction_session_timeout": 15000,
}
_IDLE = TransactionStatus.IDLE  # looking up a member of an enumeration costs as much as a call
POOLED = "pgbouncer"
HOSTS = "hosts"
# The service relies on these, whatever the defaults of the database or the role. A default of
# read-only transactions is kept: operators use it to stop writes, which then get a 503.
SETTINGS = {
    "datestyle": "ISO",  # the only one that psycopg parses
    "timezone": "UTC",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
}
# Keeps an operator's search path and appends `public`, where PostgreSQL looks by default.
SEARCH_PATH = "SELECT set_config('search_path', current_setting('search_path') || ', public', {})"
ISOLATION = "read committed"  # races are resolved by single statements, not by snapshots
PING_TIMEOUT_SECONDS = 0.3  # after this the idle connection is replaced
# Keep firewalls from forgetting a connection, and notice when it is lost (libpq, 34.1.2). `idle`
# and `interval` are in seconds.
KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}


class NoAnswer(psycopg.OperationalError):
    """The server accepts the connection but does not answer, so a retry would only take longer."""

    is_worth_a_retry = False


class Connection(psycopg.Connection[Any]):
    """A connection that waits at most `patience` seconds for an answer, or for ever if it is None.

    A server that is frozen or unreachable cannot enforce its own timeouts.
    """

    patience: float | None = ANSWER_TIMEOUT_SECONDS
    used_at = 0.0  # monotonic seconds
    place: Place | None = None
    statements: Statements
    socket: Socket

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.socket = Socket(self.pgconn.socket)
        self.statements = Statements(self)

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        if type(query) is Statement:
            return self.statements.run(query, params)
        return super().execute(query, params, **options)

    def execute_together(
        self, statements: list[tuple[Statement, Parameters]], *, commits: bool
    ) -> list[Result | psycopg.Error]:
        """The results of statements sent in one round trip, up to the first error, which is the
        last element. They begin a transaction if there is none, and may commit it."""
        if self.in_transaction:
            return self.statements.run_together([*statements, COMMIT] if commits else statements)
        if not commits:
            begun, *results = self.statements.run_together([BEGIN, *statements])
            return results or [begun]
        if len(statements) > 1:  # with BEGIN, because Citus takes only that for a transaction
            begun, *results = self.statements.run_together([BEGIN, *statements, COMMIT])
            return results or [begun]
        try:
            return [self.statements.run(*statements[0])]
        except psycopg.Error as error:
            return [error]

    @property
    def in_transaction(self) -> bool:
        return self.pgconn.transaction_status != _IDLE

    def has_news(self) -> bool:
        """Whether the server has sent something that nobody asked for, or ended the connection."""
        if self.socket.is_registered:
            return self.socket.has_news
        arrived = select.poll()
        arrived.register(self.pgconn.socket, select.POLLIN)
        return bool(arrived.poll(0))

    def limit(self, seconds: float) -> None:
        """Give each further statement of the transaction this many seconds; begins it if needed."""
        begin = "" if self.in_transaction else "BEGIN; "
        self.execute(f"{begin}SET LOCAL statement_timeout = {int(seconds * 1000)}")

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            if is_here():
                return self._wait_on_loop(gen)
            return super().wait(gen, interval, self.patience)
        except (_WaitTimeout, TimeoutError):
            self.close()
            raise NoAnswer("the server does not answer") from None

    def close(self) -> None:
        self.socket.close()
        super().close()

    def _wait_on_loop(self, gen: Any) -> Any:
        patience = self.patience
        try:
            wanted = next(gen)
            while True:  # patience begins anew with each answer, as PostgreSQL's own timeouts do
                until = None if patience is None else time.monotonic() + patience
                wanted = gen.send(self.socket.wait(until, writes=wanted != Wait.R))
        except StopIteration as end:
            return end.value


def engine_options(address: str) -> tuple[sa.URL, dict[str, Any]]:
    """The URL and the options of an engine for an address. `pgbouncer=true` in it means that the
    address is a PgBouncer's, which may run each transaction in another session.

    Each statement commits by itself until a transaction is begun: see `beginnings`.
    """
    url = sa.make_url(address)
    pooled = url.query.get("pgbouncer") == "true"
    known = Hosts(str(url.query.get("target_session_attrs", ANY)), pooled=pooled)
    kept = {name: value for name, value in KEEPALIVES.items() if name not in url.query}
    arguments: dict[str, Any] = {
        "autocommit": True,
        "client_encoding": "utf8",
        # psycopg would drop all prepared statements of the session now and then, those of libpq.py
        # included.
        "prepare_threshold": None,
        **kept,
    }
    if not pooled:
        all_settings = {"default_transaction_isolation": ISOLATION, **TIMEOUTS}
        pairs = (f"{name}={value}" for name, value in all_settings.items())
        own = " ".join("-c " + pair.replace(" ", r"\ ") for pair in pairs)
        arguments["options"] = f"{own} {url.query.get('options', '')}".rstrip()
    return url.difference_update_query(["pgbouncer"]), {
        "pool_pre_ping": True,
        "connect_args": arguments,
        "execution_options": {POOLED: pooled, HOSTS: known},
    }


def encoding(connection: sa.Connection) -> str:
    """The encoding of the database, as PostgreSQL calls it."""
    driver: Any = connection.connection.driver_connection
    return driver.info.parameter_status("server_encoding") or "unknown"


def is_pooled(engine: sa.Engine) -> bool:
    """Whether connections go through PgBouncer, so that sessions must not carry any state."""
    return bool(engine.get_execution_options().get(POOLED))


def hosts(engine: sa.Engine) -> Hosts:
    """What is known of the servers that the address of an engine names."""
    found: Hosts = engine.get_execution_options()[HOSTS]
    return found


def beginnings(engine: sa.Engine) -> tuple[str, str]:
    """The SQL that begins a transaction that only reads, and one that writes."""
    if is_pooled(engine):
        pairs = (SETTINGS | TIMEOUTS).items()
        settings = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in pairs)
        begin = f"BEGIN ISOLATION LEVEL {ISOLATION}; {settings}; {SEARCH_PATH.format(True)}"
        return begin, begin
    return "", "BEGIN"


def set_up(engine: sa.Engine) -> None:
    """Make the engine open and check its connections as this module does."""
    dialect: Any = engine.dialect
    ask, is_disconnect = dialect.do_ping, dialect.is_disconnect
    known = hosts(engine)

    def ping(connection: Connection) -> bool:
        if not known.is_current(connection.place):
            return False
        # A server that ends a connection says so: without news, the connection is open, unless a
        # firewall has forgotten it and drops its packets. Only that needs a round trip.
        quiet = time.monotonic() - connection.used_at
        connection.used_at += quiet
        if quiet < QUIET_SECONDS and not connection.has_news():
            return True
        patience, connection.patience = connection.patience, PING_TIMEOUT_SECONDS
        try:
            return bool(ask(connection))
        finally:
            connection.patience = patience

    def is_useless(error: Any, connection: Any, cursor: Any) -> bool:
        return known.misses(error) or is_disconnect(error, connection, cursor)

    dialect.do_ping, dialect.is_disconnect = ping, is_useless
    connect = partial(_connect, keep=not is_pooled(engine), hosts=known)
    sa.event.listen(engine, "do_connect", connect)
    dialect.do_begin = _begin  # SQLAlchemy wraps its errors, but not those of a listener


def _connect(
    _dialect: Any, _record: Any, _arguments: Any, options: Any, *, keep: bool, hosts: Hosts
) -> Connection:
    connection, place = hosts.connect(Connection, options)
    connection.place = place
    connection.statements.keep = keep
    if keep:
        # Not as connection options: PGDATESTYLE and PGTZ in the environment would override those.
        settings = "; ".join(f"SET {name} = '{value}'" for name, value in SETTINGS.items())
        connection.execute(f"{settings}; {SEARCH_PATH.format(False)}")
    connection.used_at = time.monotonic()
    return connection


def _begin(connection: Any) -> None:
    """For connections used without `Transaction`: commands, migrations, the ORM."""
    driver = connection.driver_connection
    if not driver.in_transaction:
        driver.execute("BEGIN")
