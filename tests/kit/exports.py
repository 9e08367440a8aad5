"""Long exports, and clients that read them over raw sockets."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import insert

from service.engine.database.transaction import db
from service.engine.ids import created_at, new_id
from service.models import AuditEvent, Session
from tests.kit.serving import Person, Service

PATH = "/auth/export"
PATIENCE = 60  # seconds


def give_events(person: Person, number: int) -> None:
    """Insert so many sign-ins into the audit log, in parts that a busy database takes in time."""
    event = {"action": "login", "actor_id": person.id, "user_id": person.id, "ip": "127.0.0.1"}
    rows = [{"id": new_id(), **event} for _ in range(number)]
    for start in range(0, number, 5_000):
        person.server.execute(insert(AuditEvent), rows[start : start + 5_000])


def give_sessions(person: Person, user_agents: list[str]) -> None:
    """Insert an active session for each of these user agents, in bulk."""
    rows = []
    for user_agent in user_agents:
        id_ = new_id()
        times = dict.fromkeys(("created_at", "last_used_at"), created_at(id_))
        times["expires_at"] = "2999-01-01T00:00:00.000Z"
        session = {"id": id_, "user_id": person.id, "user_agent": user_agent, "ip": "127.0.0.1"}
        rows.append({**session, **times, "generation": 0})
    person.server.execute(insert(Session), rows)


def lines(body: bytes) -> list[dict[str, Any]]:
    """The objects of an export; a line feed ends each line, and nothing else does."""
    assert body.endswith(b"\n")
    return [json.loads(line) for line in body[:-1].split(b"\n")]


def request(http: httpx.Client, *headers: str, target: str = f"GET {PATH}") -> bytes:
    bearer = http.headers["Authorization"]
    head = [f"{target} HTTP/1.1", "Host: localhost", f"Authorization: {bearer}", *headers]
    return "\r\n".join([*head, "", ""]).encode()


@contextmanager
def connected(url: str, data: bytes, room: int | None = None) -> Iterator[socket.socket]:
    """A connection with a receive buffer of `room` bytes, on which `data` has been sent."""
    address = urlsplit(url)
    with socket.socket() as connection:
        if room is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        connection.settimeout(PATIENCE)
        connection.connect((address.hostname, address.port))
        connection.sendall(data)
        yield connection


def rest(connection: socket.socket) -> bytes:
    """All bytes until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(1 << 20), b""))


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def in_flight(url: str) -> int:
    """The number of requests in progress, without the one that asks."""
    text = httpx.get(f"{url}/metrics").text
    [found] = re.findall(r"^\w+_requests_in_flight ([0-9.]+)$", text, re.MULTILINE)
    return int(float(found)) - 1


def borrowed(server: Service) -> int:
    """The number of database connections in use."""
    with server.flask.app_context():
        return db.connections_in_use()
