"""Measures the figures for sizing in docs/operations.md: speed, memory, bytes, on both databases.

Run `python -m bench.sizing` on an idle machine; it takes about five minutes. PostgreSQL and Valkey
come from the wheels that `make test` installs.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click
from redis import Redis

from bench import byline, machine
from bench.bytes_per_row import bytes_per_row
from bench.data import PASSWORD, sign_in
from bench.databases import postgresql, valkey
from bench.load import Request, load
from bench.peers.check import asked
from bench.processes import BOTH, CORES, LOAD, SERVER, Server, cpu, serving

CONNECTIONS = 16
SEARCHES = 8  # connections that search: with more than may wait, it is refusals that are measured
WARM_UP = 2  # seconds
_POLICIES = ("login", "account", "write", "export", "search")


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--seconds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--rows", type=click.IntRange(1), default=100_000, show_default=True)
@click.option("--only", type=click.Choice(["speed", "bytes", "limits"]), help="One part of it.")
def main(rounds: int, seconds: int, rows: int, only: str | None) -> None:
    """Measure speed and memory of one worker, and the bytes of a row."""
    found: dict[str, Any] = {"machine": machine.description()}
    with TemporaryDirectory() as name, postgresql() as server:
        folder = Path(name)
        databases = {
            "SQLite": f"sqlite:///{folder}/speed.db",
            "PostgreSQL": server.create("speed"),
        }
        if only in {None, "speed"}:
            for engine, url in databases.items():
                cluster = server.pid if engine == "PostgreSQL" else None
                found[engine] = speed(folder / engine, url, cluster, rounds, seconds)
        if only in {None, "bytes"}:
            sizes = {
                "SQLite": f"sqlite:///{folder}/bytes.db",
                "PostgreSQL": server.create("bytes"),
            }
            found["bytes"] = {engine: bytes_per_row(url, rows) for engine, url in sizes.items()}
        if only in {None, "limits"}:
            found["limits"] = bytes_per_client(folder)
    click.echo(json.dumps(found, indent=1))


def speed(
    folder: Path, url: str, cluster: int | None, rounds: int, seconds: int
) -> dict[str, dict[str, float]]:
    """Medians for each operation with one worker; CPU milliseconds of worker and database."""
    folder.mkdir()
    environment = byline.settings(
        url,
        folder / "keys",
        RATE_LIMIT_CLIENT=byline.ENDLESS,
        RATE_LIMITS=",".join(f"{policy}={byline.ENDLESS}" for policy in _POLICIES),
        ACCESS_TOKEN_TTL="86400",
        LOG_FORMAT="json",
    )
    for command in ("keys generate", "db upgrade", "demo --yes --users 10000 --posts 100000"):
        byline.run(folder, environment, *command.split())
    with serving(byline.serve, folder, environment, SERVER) as server:
        if cluster:
            os.sched_setaffinity(cluster, {CORES[place] for place in LOAD})
        token = sign_in(server.url, "user1@example.com")
        post = asked(server.url, "/api/posts?limit=1").data[0]["id"]
        found = {"memory": {"at first": server.resident()}}
        for name, request in _requests(token, post).items():
            connections = SEARCHES if name.startswith("search") else CONNECTIONS
            load(server.url, request, WARM_UP, connections)
            samples = [
                _sample(server, cluster, request, seconds, connections) for _ in range(rounds)
            ]
            found[name] = {key: median(s[key] for s in samples) for key in samples[0]}
            found[name]["spread"] = _spread([s["per_second"] for s in samples])
        found["memory"] |= {"at last": server.resident(), "peak": server.peak()}
    return found


def _requests(token: str, post: str) -> dict[str, Request]:
    bearer = {"Authorization": f"Bearer {token}"}
    sends = {"Content-Type": "application/json"}
    text = json.dumps({"title": "Notes on tea", "content": "Warm the pot first, then wait."})
    known = json.dumps({"email": "user1@example.com", "password": PASSWORD})
    return {
        "GET one post": Request(f"/api/posts/{post}"),
        "list 20 posts": Request("/api/posts"),
        "search, a rare phrase": Request("/api/search?q=%22a+stray+cat+in+Reykjavik%22"),
        "GET /auth/me": Request("/auth/me", headers=bearer),
        "POST a post": Request("/api/posts", "POST", bearer | sends, text),
        "login": Request("/auth/login", "POST", sends, known),
    }


def _sample(
    server: Server, cluster: int | None, request: Request, seconds: int, connections: int
) -> dict[str, float]:
    before = server.cpu(), cpu(cluster) if cluster else 0.0
    done = load(server.url, request, seconds, connections)
    after = server.cpu(), cpu(cluster) if cluster else 0.0
    if done.refused:
        raise click.ClickException(f"{request.path}: {done}")
    own, its = (
        (end - start) / done.requests * 1000 for start, end in zip(before, after, strict=True)
    )
    return {"per_second": done.per_second, "p50": done.p50, "p99": done.p99, "cpu": own, "db": its}


def _spread(values: list[float]) -> float:
    """The distance between the extremes, as a part of the median."""
    return (max(values) - min(values)) / median(values)


def bytes_per_client(folder: Path, clients: int = 5000) -> dict[str, float]:
    """Bytes in Valkey for each client that has sent a request, and for each attempt to sign in."""
    place = folder / "limits"
    place.mkdir()
    with valkey() as store, Redis.from_url(store.url) as client:
        environment = byline.settings(
            f"sqlite:///{place}/byline.db",
            place / "keys",
            RATE_LIMIT_STORAGE_URL=store.url,
            TRUSTED_PROXIES="127.0.0.1",
        )
        byline.run(place, environment, "db", "upgrade")
        with serving(byline.serve, place, environment, BOTH) as server:
            found = {}
            for name, number, path, body in (
                ("client", clients, "/api/posts", None),
                ("client that tried to sign in", clients // 50, "/auth/login", _wrong),
            ):
                before = client.info("memory")["used_memory_dataset"], client.dbsize()
                _ask(server.port, number, path, body)
                after = client.info("memory")["used_memory_dataset"], client.dbsize()
                found[f"bytes for a {name}"] = (after[0] - before[0]) / number
                found[f"keys for a {name}"] = (after[1] - before[1]) / number
    return found


def _wrong(number: int) -> str:
    return json.dumps({"email": f"user{number}@example.com", "password": "not the password"})


def _ask(port: int, clients: int, path: str, body: Callable[[int], str] | None) -> None:
    api = http.client.HTTPConnection("127.0.0.1", port)
    for number in range(clients):
        headers = {
            "X-Forwarded-For": f"198.{18 + number // 65536}.{number // 256 % 256}.{number % 256}"
        }
        if body:
            headers["Content-Type"] = "application/json"
        api.request("POST" if body else "GET", path, body and body(number), headers)
        api.getresponse().read()
    api.close()


if __name__ == "__main__":
    main()
