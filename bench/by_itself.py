"""The measurements of Byline alone."""

from __future__ import annotations

import json
import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import click

from bench import byline
from bench.against_peers import CONNECTIONS, WARM_UP, answered, measured
from bench.contenders import operations
from bench.data import OCCASIONAL, PASSWORD, WRITER, at_depth, sign_in, sqlite
from bench.embedded import running
from bench.figures import Sample
from bench.load import Request, load, started
from bench.plan import Plan
from bench.processes import BOTH, Server, serving

FIRST_PAGE = "/api/posts?limit=20"
EXPORT = "/auth/export"
UNREAD = 10  # clients that ask for an export and do not read it
MEGABYTE = 1 << 20


def measure_logins(plan: Plan) -> list[Sample]:
    """Reads, first alone and then while clients sign in constantly."""
    login = sign_ins()
    read = operations(plan.data, plan.byline)["get"]
    with running(plan.data, plan.byline, plan.folder) as server:
        load(server.url, read, WARM_UP, CONNECTIONS)
        alone = answered(measured(server, read, plan.seconds), plan.byline, "get")
        # They start before the reads and end after them.
        logins = started(server.url, login, plan.seconds + 2, CONNECTIONS)
        time.sleep(1)  # until the first passwords are being hashed
        beside = answered(measured(server, read, plan.seconds), plan.byline, "get")
        signed_in = logins()
    if signed_in.refused or not signed_in.requests:
        raise click.ClickException(f"Not all could sign in: {signed_in}")
    return [
        {"case": "alone", "logins": 0.0, **alone},
        {"case": "beside logins", "logins": signed_in.per_second, **beside},
    ]


def measure_depth(plan: Plan) -> list[Sample]:
    """The first page and a deep page, on one connection."""
    deep = f"{FIRST_PAGE}&after={at_depth(plan.deep, plan.depth)}"
    samples = []
    with _on_deep_data(plan) as server:
        for case, depth, path in (("first page", 0, FIRST_PAGE), ("far down", plan.depth, deep)):
            load(server.url, Request(path), WARM_UP, 1)
            sample = measured(server, Request(path), plan.seconds, 1)
            answered(sample, plan.byline, path)
            samples.append({"case": case, "depth": depth, **sample})
    return samples


def measure_workers(plan: Plan) -> list[Sample]:
    """One worker and two, with the load on the same two cores."""
    read = operations(plan.data, plan.byline)["get"]
    samples = []
    for case, workers in (("one worker", "1"), ("two workers", "2")):
        with running(plan.data, plan.byline, plan.folder, BOTH, WORKERS=workers) as server:
            load(server.url, read, WARM_UP, CONNECTIONS, BOTH)
            sample = measured(server, read, plan.seconds, cores=BOTH)
            samples.append({"case": case, **answered(sample, plan.byline, "get")})
    return samples


def measure_export(plan: Plan) -> list[Sample]:
    """The memory of a fresh process after a user's export."""
    samples = []
    sizes = {"small": ("user2@example.com", OCCASIONAL), "large": ("user1@example.com", WRITER)}
    for case, (email, share) in sizes.items():
        posts = plan.depth // share
        with _on_deep_data(plan) as server:
            lines = _exported(server, sign_in(server.url, email))
            samples.append({"case": case, "posts": posts, "peak": server.peak()})
        if lines < posts:
            raise click.ClickException(f"The export of {posts} posts had {lines} lines")
    return samples


def measure_unread(plan: Plan) -> list[Sample]:
    """Reads by two threads, first alone and then while clients request exports and do not read."""
    read = Request(FIRST_PAGE)
    samples = []
    with _on_deep_data(plan, WORKER_THREADS="2") as server, ExitStack() as stack:
        token = sign_in(server.url, "user1@example.com")
        for case, clients in (("alone", 0), ("beside unread", UNREAD)):
            for _ in range(clients):
                stack.enter_context(_unread(server, token))
            load(server.url, read, WARM_UP, CONNECTIONS)
            sample = measured(server, read, plan.seconds)
            under_way = _in_flight(server)
            if under_way < clients:
                raise click.ClickException(f"Only {under_way} of {clients} exports are under way")
            samples.append({"case": case, **sample})
    return samples


@contextmanager
def _on_deep_data(plan: Plan, **settings: str) -> Iterator[Server]:
    environment = byline.as_in_production(sqlite(plan.deep), plan.data.keys, **settings)
    with serving(byline.serve, plan.folder, environment) as server:
        yield server


def sign_ins() -> Request:
    body = json.dumps({"email": "user1@example.com", "password": PASSWORD})
    return Request("/auth/login", "POST", {"Content-Type": "application/json"}, body)


def _exported(server: Server, token: str) -> int:
    """The number of lines of an export."""
    request = urllib.request.Request(server.url + EXPORT)
    request.add_header("Authorization", f"Bearer {token}")
    lines = 0
    with urllib.request.urlopen(request) as answer:
        while chunk := answer.read(MEGABYTE):
            lines += chunk.count(b"\n")
    return lines


@contextmanager
def _unread(server: Server, token: str) -> Iterator[None]:
    head = [f"GET {EXPORT} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        yield


def _in_flight(server: Server) -> int:
    """The number of requests in progress, without the one that asks."""
    with urllib.request.urlopen(f"{server.url}/metrics") as answer:
        text = answer.read().decode()
    [found] = re.findall(r"^byline_requests_in_flight (\S+)$", text, re.MULTILINE)
    return int(float(found)) - 1
