"""PostgreSQL: every wait ends, and a statement by itself is one round trip."""

from __future__ import annotations

import select
import time
from functools import partial
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.errors import _WaitTimeout
from psycopg.pq import TransactionStatus

CONNECT_TIMEOUT_SECONDS = 3  # then the server counts as down
ANSWER_TIMEOUT_SECONDS = 4.5  # longer than PostgreSQL's own timeouts, which end first
TIMEOUTS = {  # milliseconds
    "statement_timeout": 4000,
    "lock_timeout": 3000,
    "idle_in_transaction_session_timeout": 15000,
}
POOLED = "pgbouncer"
# What the service relies on, whatever the database or the role has as its default. Read-only
# transactions stay: operators use them to stop writes, which are then a 503.
SETTINGS = {
    "datestyle": "ISO",  # psycopg reads no other
    "timezone": "UTC",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
}
# How an operator chooses a schema stays, but the default has to be found too.
SEARCH_PATH = "SELECT set_config('search_path', current_setting('search_path') || ', public', {})"
ISOLATION = "read committed"  # the races are decided by statements, not by snapshots
QUIET_SECONDS = 1.0  # ping a connection idle for this long: a firewall may have dropped it
PING_TIMEOUT_SECONDS = 0.3  # then the idle connection is replaced
# Seconds, but for the last: so that the way stays open, and its end is noticed (libpq, 34.1.2).
KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}


class NoAnswer(psycopg.OperationalError):
    """The server holds the connection and does not answer: asking again would only take longer."""

    is_worth_a_retry = False


class Connection(psycopg.Connection[Any]):
    """A connection that waits for an answer for `patience` seconds at most, or for ever if None.

    A server that is frozen or cut off keeps no timeout of its own.
    """

    patience: float | None = ANSWER_TIMEOUT_SECONDS
    used_at = 0.0  # monotonic seconds

    @property
    def in_transaction(self) -> bool:
        return self.pgconn.transaction_status != TransactionStatus.IDLE

    def limit(self, seconds: float) -> None:
        """End each further statement of this transaction, begun if need be, after so long."""
        begin = "" if self.in_transaction else "BEGIN; "
        self.execute(f"{begin}SET LOCAL statement_timeout = {int(seconds * 1000)}")

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.patience)
        except _WaitTimeout:
            self.pgconn.finish()
            raise NoAnswer("the server does not answer") from None


def engine_options(address: str) -> tuple[sa.URL, dict[str, Any]]:
    """The URL and the options of an engine for an address; `pgbouncer=true` in it says that
    PgBouncer is there, which gives each transaction another session.

    Connections commit each statement by themselves, until a transaction is begun: see `beginnings`.
    """
    url = sa.make_url(address)
    pooled = url.query.get("pgbouncer") == "true"
    kept = {name: value for name, value in KEEPALIVES.items() if name not in url.query}
    arguments: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "autocommit": True,
        "client_encoding": "utf8",
        **kept,
    }
    if pooled:
        arguments["prepare_threshold"] = None
    else:
        all_settings = {"default_transaction_isolation": ISOLATION, **TIMEOUTS}
        pairs = (f"{name}={value}" for name, value in all_settings.items())
        own = " ".join("-c " + pair.replace(" ", r"\ ") for pair in pairs)
        arguments["options"] = f"{own} {url.query.get('options', '')}".rstrip()
    return url.difference_update_query(["pgbouncer"]), {
        "pool_pre_ping": True,
        "connect_args": arguments,
        "execution_options": {POOLED: pooled},
    }


def encoding(connection: sa.Connection) -> str:
    """The encoding of the database, as PostgreSQL calls it."""
    driver: Any = connection.connection.driver_connection
    return driver.info.parameter_status("server_encoding") or "unknown"


def is_pooled(engine: sa.Engine) -> bool:
    """Whether PgBouncer is between, so that nothing may be left in a session."""
    return bool(engine.get_execution_options().get(POOLED))


def beginnings(engine: sa.Engine) -> tuple[str, str]:
    """What begins a transaction that only reads, and one that writes."""
    if is_pooled(engine):
        pairs = (SETTINGS | TIMEOUTS).items()
        settings = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in pairs)
        begin = f"BEGIN ISOLATION LEVEL {ISOLATION}; {settings}; {SEARCH_PATH.format(True)}"
        return begin, begin
    return "", "BEGIN"


def set_up(engine: sa.Engine) -> None:
    """Make the engine's connections ours."""
    dialect: Any = engine.dialect
    ask = dialect.do_ping

    def ping(connection: Connection) -> bool:
        # What the server ends, it tells at once: when nothing has arrived unasked, it is there,
        # unless something between has forgotten the connection and drops what it is sent.
        quiet = time.monotonic() - connection.used_at
        connection.used_at += quiet
        arrived = select.poll()
        arrived.register(connection.pgconn.socket, select.POLLIN)
        if quiet < QUIET_SECONDS and not arrived.poll(0):
            return True
        patience, connection.patience = connection.patience, PING_TIMEOUT_SECONDS
        try:
            return bool(ask(connection))
        finally:
            connection.patience = patience

    dialect.do_ping = ping
    sa.event.listen(engine, "do_connect", partial(_connect, keep=not is_pooled(engine)))
    dialect.do_begin = _begin  # SQLAlchemy wraps its errors, but not those of a listener


def _connect(
    _dialect: Any, _record: Any, arguments: Any, options: Any, *, keep: bool
) -> Connection:
    connection = Connection.connect(*arguments, **options)
    if keep:
        # Not among the options, which PGDATESTYLE and PGTZ of the environment would override.
        settings = "; ".join(f"SET {name} = '{value}'" for name, value in SETTINGS.items())
        connection.execute(f"{settings}; {SEARCH_PATH.format(False)}")
    connection.used_at = time.monotonic()
    return connection


def _begin(connection: Any) -> None:
    """For what goes past `database.Transaction`: commands, migrations, the ORM by itself."""
    driver = connection.driver_connection
    if not driver.in_transaction:
        driver.execute("BEGIN")
