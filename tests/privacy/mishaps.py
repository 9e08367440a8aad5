"""Secrets where they do not belong, and databases that could repeat what they were given."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import sqlalchemy as sa

from service.engine.ids import new_id, now
from service.specification import specification
from tests.kit import raw
from tests.kit.smtp import MailServer, until
from tests.privacy.tour import OPERATIONS, PARAMETERS, Tour, Visitor
from tests.privacy.visits import ANY

MIB = 1024 * 1024
JSON = {"Content-Type": "application/json"} | ANY

NEWEST = {"users": "updated_at", "sessions": "last_used_at", "mails": "id"}
NEWEST["posts"] = "updated_at"  # posts
VALUES = {"bio": "users", "user_agent": "sessions", "recipient": "mails"}
VALUES["title"] = "posts"  # posts
AWAY = (
    ("users",),
    ("sessions",),
    ("mails",),
    ("audit_events",),
    ("idempotency_keys", "alembic_version"),
    ("posts",),  # posts
    ("post_documents",),  # posts
)
# A database that nobody can reach any more; an SQLite file cannot be taken away so.
LEFT_ALONE = {
    "postgresql": (
        "ALTER DATABASE {0} ALLOW_CONNECTIONS {1}",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{0}'",
    ),
    "sqlite": (),
}


def misplaced(tour: Tour, by: Visitor) -> None:
    """Every operation with secrets in its query and its path, in headers that are none of its own,
    in tokens that are not good, and in bodies that are not what they should be."""
    tokens = {"access_token": by.tokens["access_token"], "token": by.tokens["refresh_token"]}
    everything = [*by.credentials.values(), *tokens.values()]
    wrong = list(_wrong_credentials(tour, by))
    for operation, (_, _, declared) in OPERATIONS.items():
        ids = dict.fromkeys(PARAMETERS[operation], by.id)
        tour(operation, by, params=by.credentials | tokens, **ids)
        tour(operation, by, headers={"X_Token": by.tokens["access_token"]}, **ids)
        for secret in everything if ids else ():
            tour(operation, by, **dict.fromkeys(ids, secret))
        for headers in wrong if declared["security"] else ():
            tour(operation, by, bearer=None, headers=headers, params=tokens, **ids)
        for body in _wrong_bodies(declared, by, everything):
            tour(operation, by, **body, **ids)


def malformed(tour: Tour, by: Visitor) -> None:
    """What is refused before there is an operation."""
    access, secret = by.tokens["access_token"], by.password.encode()
    bearer = f"Authorization: Bearer {access}"
    query = f"/auth/me?access_token={access}"
    for data in (
        raw.get(f"/reset-password/{access}"),
        raw.get(query, bearer, bearer),
        raw.get(query, f"X_Token: {access}"),
        raw.get(query, host=f"{access[-20:]}.example.com"),
        raw.get(query, b"X-Secret: " + secret * 999),
        raw.get(query, b"no header " + secret),
        raw.get(query, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: " + access),
        raw.get(b"/auth/me?" + secret),
        raw.request("TRACE", query, bearer),
        raw.request("OPTIONS", query, bearer),
        raw.request("POST", query, bearer, "Content-Length: " + access),
        b"password=" + secret + b"\r\n\r\n",
    ):
        tour.raw(by, data)


def faults() -> Iterator[dict[str, str]]:
    """What an operator may do to a database in use, by statement, and what undoes it: tables are
    away or take no more rows, or an index finds that values are no numbers or there already."""
    for tables in AWAY:
        yield _away(*tables)
    yield {
        f"ALTER TABLE {table} ADD COLUMN fault integer"
        f" CHECK (coalesce(fault, 0) > 0 OR NOT {_is_new(table)})": (
            f"ALTER TABLE {table} DROP COLUMN fault"
        )
        for table in NEWEST
    }
    for index, key in (("INDEX", "(CAST({} AS integer))"), ("UNIQUE INDEX", "{}")):
        yield {
            f"CREATE {index} fault_{column} ON {table} ({key.format(column)})"
            f" WHERE {_is_new(table)}": f"DROP INDEX fault_{column}"
            for column, table in VALUES.items()
        }


def undeliverable(tour: Tour, server: MailServer, password: str) -> None:
    """One mail that arrives, and some that are refused together with all that was said."""
    welcome = tour.visitor("welcome")
    tour("register", welcome, json=welcome.credentials)
    server.wait(welcome.address)
    for code, command in ((550, "RCPT"), (554, "DATA"), (535, "AUTH")):
        visitor, before = tour.visitor("unwelcome"), _heard(server, command)
        address = visitor.address
        reply = f"{code} 5.7.1 <{address}> and {password} are not welcome"
        server.answers[address if command == "RCPT" else command] = reply
        tour("register", visitor, json=visitor.credentials)
        until(lambda command=command, before=before: _heard(server, command) > before)


@contextmanager
def broken(engine: sa.Engine, fault: dict[str, str]) -> Iterator[None]:
    _execute(engine, fault)
    yield
    _execute(engine, fault.values())


def without_schema(engine: sa.Engine) -> AbstractContextManager[None]:
    """A time in which the database does not say of which version it is."""
    return broken(engine, _away("alembic_version"))


@contextmanager
def left_alone(engine: sa.Engine) -> Iterator[None]:
    """A time in which nobody reaches the database."""
    name, statements = engine.url.database, LEFT_ALONE[engine.dialect.name]
    elsewhere = sa.create_engine(
        engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    engine.dispose()
    _execute(elsewhere, [statement.format(name, "false") for statement in statements])
    yield
    _execute(elsewhere, [statement.format(name, "true") for statement in statements])


def _away(*tables: str) -> dict[str, str]:
    return {f"ALTER TABLE {t} RENAME TO {t}_": f"ALTER TABLE {t}_ RENAME TO {t}" for t in tables}


def _execute(engine: sa.Engine, statements: Iterable[str]) -> None:
    for statement in statements:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)


def _heard(server: MailServer, command: str) -> int:
    return server.heard.upper().count(b"\n" + command.encode())


def _is_new(table: str) -> str:
    column = NEWEST[table]
    return f"{column} > '{new_id() if column == 'id' else now()}'"


def _wrong_credentials(tour: Tour, by: Visitor) -> Iterator[dict[str, Any]]:
    access, refresh = by.tokens["access_token"], by.tokens["refresh_token"]
    both = ":".join(by.credentials.values()).encode()
    yield {}
    yield {"Cookie": f"session={access}", "X-Access-Token": refresh, "Token": by.address.encode()}
    yield {"Authorization": f"Basic {b64encode(both).decode()}"}
    yield {"Authorization": f"Token {access}"}
    yield {"Authorization": f"Bearer {access[:-9]}"}
    yield {"Authorization": f"Bearer {refresh}{access}"}
    yield {"Authorization": f"Bearer {tour.expired(by)}"}


def _wrong_bodies(
    declared: dict[str, Any], by: Visitor, everything: list[str]
) -> Iterator[dict[str, Any]]:
    if "requestBody" not in declared:
        return
    schema = declared["requestBody"]["content"]["application/json"]["schema"]
    name = schema["$ref"].rpartition("/")[2]
    names = specification.document["components"]["schemas"][name]["properties"]
    yield {"content": json.dumps(by.credentials)[:-2], "headers": JSON}
    yield {"content": "&".join(everything), "headers": JSON}
    yield {"json": dict.fromkeys(names, everything), "headers": ANY}
    yield {"json": dict.fromkeys(names, by.password * 9999), "headers": ANY}
    yield {"json": by.credentials | {"note": everything}, "headers": ANY}
    yield {"json": [by.password.ljust(MIB)], "headers": ANY}
    yield {"data": by.credentials, "headers": ANY}
