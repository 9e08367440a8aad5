"""Servers that share a limiter store, and common requests of its tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from service.engine.limits import cluster, connection, server
from tests.kit.serving import Person, Server

Serve = Callable[..., Server]


def sharing(serve: Serve) -> Serve:
    """Starts servers that share a database and a store."""
    names = ("client", "login", "register", "search")
    ample = dict.fromkeys(names, "10000 per day")

    def _serve(url: str, **limits: str) -> Server:
        return serve(
            rate_limit_enabled=True,
            rate_limit_storage_url=url,
            rate_limits=ample | limits,
            trusted_proxies="127.0.0.1",
        )

    return _serve


def patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have servers wait for their store as long as a busy machine may take."""
    for module in (connection, server, cluster):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 10)
    monkeypatch.setattr(connection, "SILENCE_SECONDS", 10)
    monkeypatch.setattr(server, "CONNECT_TIMEOUT_SECONDS", 10)


def statuses(person: Person, times: int) -> list[int]:
    """The statuses of so many writes by a user, one after the other."""
    return [person.http.delete("/auth/sessions").status_code for _ in range(times)]


def on(server: Server, person: Person) -> Person:
    """A user's session, used on another server."""
    return Person(server, person.email, person.password, person.tokens)


def guess(server: Server, email: str, password: str = "wrong") -> int:
    with server.client() as client:
        body = {"email": email, "password": password}
        return client.post("/auth/login", json=body).status_code


def readiness(server: Server) -> dict[str, Any]:
    answer = httpx.get(f"{server.url}/health/ready", timeout=60)
    assert answer.status_code == 200
    return answer.json()


def failures(server: Server) -> float:
    """How often the store began to fail, from the metrics."""
    metrics = httpx.get(f"{server.url}/metrics").text
    return float(metrics.partition("\nbyline_limiter_store_failures_total ")[2].split()[0])


def burst(server: Server, number: int = 50) -> float:
    """Seconds of the slowest of so many concurrent requests, each from another address."""

    async def one(client: httpx.AsyncClient, host: int) -> float:
        started = time.perf_counter()
        answer = await client.get("/", headers={"X-Forwarded-For": f"203.0.113.{host}"})
        assert answer.status_code == 200, answer.text
        return time.perf_counter() - started

    async def all_at_once() -> float:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            return max(await asyncio.gather(*(one(client, host) for host in range(number))))

    return asyncio.run(all_at_once())
