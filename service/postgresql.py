"""PostgreSQL as Byline uses it: every wait ends, and a statement by itself is one round trip."""

from __future__ import annotations

import select
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.errors import _WaitTimeout
from psycopg.pq import TransactionStatus

CONNECT = 3  # seconds until a server that does not take a connection counts as gone
ANSWER = 4.5  # seconds until one that does not answer does: PostgreSQL's own timeouts come first
TIMEOUTS = {  # milliseconds
    "statement_timeout": 4000,
    "lock_timeout": 3000,
    "idle_in_transaction_session_timeout": 15000,
}
POOLED = "pgbouncer"


class NoAnswer(psycopg.OperationalError):
    """The server holds the connection and does not answer: asking again would only take longer."""

    is_worth_a_retry = False


class Connection(psycopg.Connection[Any]):
    """A connection that waits for an answer for `patience` seconds at most, or for ever if None.

    A server that is frozen or cut off keeps no timeout of its own.
    """

    patience: float | None = ANSWER

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
    arguments: dict[str, Any] = {"connect_timeout": CONNECT, "autocommit": True}
    if pooled:
        arguments["prepare_threshold"] = None
    else:
        own = " ".join(f"-c {name}={value}" for name, value in TIMEOUTS.items())
        arguments["options"] = f"{own} {url.query.get('options', '')}".rstrip()
    return url.difference_update_query(["pgbouncer"]), {
        "pool_pre_ping": True,
        "connect_args": arguments,
        "execution_options": {POOLED: pooled},
    }


def is_pooled(engine: sa.Engine) -> bool:
    """Whether PgBouncer is between, so that nothing may be left in a session."""
    return bool(engine.get_execution_options().get(POOLED))


def beginnings(engine: sa.Engine) -> tuple[str, str]:
    """What begins a transaction that only reads, and one that writes."""
    if is_pooled(engine):
        limits = "; ".join(f"SET LOCAL {name} = {value}" for name, value in TIMEOUTS.items())
        return f"BEGIN; {limits}", f"BEGIN; {limits}"
    return "", "BEGIN"


def set_up(engine: sa.Engine) -> None:
    """Make the engine's connections ours."""
    dialect: Any = engine.dialect
    ask = dialect.do_ping

    def ping(connection: Connection) -> bool:
        # What the server ends, it tells at once: when nothing has arrived unasked, it is there.
        arrived = select.poll()
        arrived.register(connection.pgconn.socket, select.POLLIN)
        return not arrived.poll(0) or bool(ask(connection))

    dialect.do_ping = ping
    sa.event.listen(engine, "do_connect", _connect)
    dialect.do_begin = _begin  # whose errors SQLAlchemy wraps, unlike those of a listener


def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Connection:
    return Connection.connect(*arguments, **options)


def _begin(connection: Any) -> None:
    """For what goes past `database.Transaction`: commands, migrations, the ORM by itself."""
    driver = connection.driver_connection
    if not driver.in_transaction:
        driver.execute("BEGIN")
