"""Clients that keep a server busy and count the outcomes of their requests."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse

GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
REFUSED = b'{"email": "nobody", "password": "x"}'
POST = (
    b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(REFUSED), REFUSED)
)
CLIENTS = 4
PAUSE = 0.005  # seconds


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def refuses(port: int) -> bool:
    """Whether no process listens on the port any more."""
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    return False


def answer(connection: socket.socket) -> HTTPResponse:
    """The next answer on a connection, with its body read."""
    response = HTTPResponse(connection)
    response.begin()
    response.read()
    return response


def one_by_one(port: int, number: int) -> str:
    """The outcome of one request on a connection of its own."""
    with connect(port) as connection:
        connection.sendall(GET if number % 2 else POST)
        status = answer(connection).status
    return "answered" if status in {200, 400} else str(status)


def kept(port: int, _number: int) -> str:
    """The outcome of requests on one connection, until the server announces its end."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.connect()
        while True:
            time.sleep(PAUSE)  # or they would keep the processor from what they wait for
            connection.request("GET", "/health/live")
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                return str(response.status)
            if response.getheader("Connection") == "close":
                return "answered"


@contextmanager
def busy(port: int, visit: Callable[[int, int], str]) -> Iterator[Counter[str]]:
    """Counts the outcomes of visits, which each client repeats until the block ends."""
    outcomes: Counter[str] = Counter()
    ended = threading.Event()

    def go_on(first: int) -> None:
        number = first
        while not ended.wait(PAUSE):
            number += 1
            try:
                outcomes[visit(port, number)] += 1
            except ConnectionRefusedError:
                outcomes["refused"] += 1
            except Exception as error:  # of any kind: a client has seen it
                outcomes[type(error).__name__] += 1

    clients = [threading.Thread(target=go_on, args=(first,)) for first in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield outcomes
    finally:
        ended.set()
        for client in clients:
            client.join()
