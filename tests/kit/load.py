"""Clients that write and read constantly, and check and remember every answer."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

import httpx

from tests.kit.commands import PASSWORD
from tests.kit.processes import Account

# Five seconds are promised; three more are for two cores that run the clients and servers too.
LONGEST = 8.0
PAUSE = 0.02  # seconds between two requests of a client, which would else take all cores
REST = 0.2  # seconds that a client waits after a refusal
BROKEN = 0  # the status when the connection broke: the outcome is unknown
GONE = -1  # the status when connecting failed


@dataclass
class Write:
    """Something to create, under a unique name; `key` makes it safe to repeat."""

    path: str
    body: dict[str, str]
    account: Account
    key: str | None = None
    told: list[int] = field(default_factory=list)
    id: str | None = None  # the id in the acknowledgement

    @property
    def name(self) -> str:
        return self.body.get("title") or self.body["email"]


class Load:
    """Writers, readers and one client that registers; each is a thread with its own connection.

    Clients do not retry: `settle` repeats writes with a key that were not acknowledged.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        accounts: Sequence[Account],
        *,
        writers: int = 6,
        readers: int = 2,
        registers: bool = True,
        longest: float = LONGEST,
    ) -> None:
        self.urls = [urls] if isinstance(urls, str) else list(urls)
        self.accounts = accounts
        self.writes: list[Write] = []
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []  # answers that no client should get
        self.longest = 0.0
        self.slowest = ""  # the request that took so long
        self._limit = longest
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._numbers = count()
        works = [*[self._write] * writers, *[self._read] * readers, *[self._register] * registers]
        self._threads = [
            threading.Thread(target=self._work, args=(work, number), name=work.__name__)
            for number, work in enumerate(works)
        ]

    @property
    def requests(self) -> int:
        return self.statuses.total()

    @property
    def acknowledged(self) -> list[Write]:
        return [write for write in list(self.writes) if write.id]

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Apply the load until the block ends; requests in progress are answered first."""
        for thread in self._threads:
            thread.start()
        try:
            self.go_on(len(self._threads))
            yield self
        finally:
            self._stopped.set()
            for thread in self._threads:
                thread.join()

    def go_on(self, more: int = 20, within: float = 60) -> None:
        """Wait until so many more writes are acknowledged."""
        until = len(self.acknowledged) + more
        deadline = time.monotonic() + within
        while len(self.acknowledged) < until:
            assert time.monotonic() < deadline, f"nothing is written any more: {self.statuses}"
            time.sleep(0.02)

    def hold(self, seconds: float) -> None:
        """Keep the load up for so many seconds."""
        self._stopped.wait(seconds)

    def settle(self, url: str | None = None) -> int:
        """Repeat the writes with a key that were not acknowledged; how many there were."""
        open_ = [write for write in self.writes if write.key and not write.id]
        with httpx.Client(base_url=url or self.urls[0], timeout=60, verify=False) as client:
            for write in open_:
                self._post(client, write)
        assert all(write.id for write in open_), [write.told for write in open_ if not write.id]
        return len(open_)

    def check(self, *, breaks: bool = False, goes: bool = False, refuses: bool = False) -> None:
        """Check all answers.

        Only with `breaks` may connections break or fail to open, with `goes` only fail to open, and
        with `refuses` may requests be refused.
        """
        assert self.wrong == [], self.wrong
        assert breaks or not self.statuses[BROKEN], f"{self.statuses[BROKEN]} connections broke"
        assert goes or breaks or not self.statuses[GONE], "no connection could be made"
        assert refuses or not self.statuses[503], f"{self.statuses[503]} were refused"
        assert self.longest < self._limit, self.slowest

    def _work(self, work: Any, number: int) -> None:
        url = self.urls[number % len(self.urls)]
        with httpx.Client(base_url=url, timeout=60, verify=False) as client:
            while not self._stopped.is_set():
                refused = work(client) in {GONE, BROKEN, 503}
                self._stopped.wait(REST if refused else PAUSE)

    def _write(self, client: httpx.Client) -> int:
        title = secrets.token_hex(8)
        key = secrets.token_hex(16) if int(title, 16) % 2 else None
        body = {"title": title, "content": f"About {title}."}
        write = Write("/api/posts", body, self._account(), key)
        self.writes.append(write)
        return self._post(client, write)

    def _register(self, client: httpx.Client) -> int:
        email = f"{secrets.token_hex(8)}@example.com"
        body = {"email": email, "password": PASSWORD}
        write = Write("/auth/register", body, self._account())
        self.writes.append(write)
        status = self._post(client, write)
        self._stopped.wait(0.2)  # a hash takes as much of a core as twenty posts
        return status

    def _read(self, client: httpx.Client) -> int:
        number = next(self._numbers)
        if number % 3 == 0:
            return self._send(client, "GET", "/auth/me", {200})
        known = next((w for w in reversed(self.writes) if w.id and "title" in w.body), None)
        if number % 3 == 1 or known is None:
            return self._send(client, "GET", "/api/posts?limit=5", {200})
        return self._send(client, "GET", f"/api/posts/{known.id}", {200})

    def _account(self) -> Account:
        return self.accounts[next(self._numbers) % len(self.accounts)]

    def _post(self, client: httpx.Client, write: Write) -> int:
        headers = {"Idempotency-Key": write.key} if write.key else {}
        allowed = {201, 409} if write.told and write.key else {201}
        return self._send(
            client, "POST", write.path, allowed, write, json=write.body, headers=headers
        )

    def _send(
        self,
        client: httpx.Client,
        method: str,
        path: str,
        allowed: set[int],
        write: Write | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> int:
        account = write.account if write else self._account()
        start = time.monotonic()
        try:
            answer = client.request(
                method, path, headers={**account.bearer, **(headers or {})}, **more
            )
            status = answer.status_code
            if why := complaint(answer, allowed):
                self.wrong.append(f"{method} {path}: {why}")
        except httpx.TransportError as error:
            status = GONE if isinstance(error, httpx.ConnectError) else BROKEN
            if isinstance(error, httpx.TimeoutException):
                self.wrong.append(f"{method} {path}: no answer")
        taken = (time.monotonic() - start, f"{method} {path}")
        with self._lock:
            self.statuses[status] += 1
            # Hashes run at the lowest priority: on a busy machine only the client's timeout holds.
            if path != "/auth/register":
                self.longest, self.slowest = max((self.longest, self.slowest), taken)
        if write:
            write.told.append(status)
            if status == 201:
                write.id = answer.json()["id"]
        return status


def complaint(answer: httpx.Response, allowed: set[int]) -> str | None:
    """What is wrong with an answer, if anything; a refusal must be a 503 with Retry-After."""
    status, headers = answer.status_code, answer.headers
    if status not in allowed | {503}:
        return f"{status} {answer.text[:500]}"
    if "x-request-id" not in headers:
        return f"{status} without X-Request-Id"
    if status >= 400 and headers.get("content-type") != "application/problem+json":
        return f"{status} is no problem document: {answer.text[:500]}"
    if status == 503 and not headers.get("retry-after", "").isdigit():
        return "503 without Retry-After"
    return None


async def at_once(port: int, path: str, account: Account, number: int) -> list[httpx.Response]:
    """The answers to so many concurrent requests, each on its own connection."""
    bearer = account.bearer["Authorization"]
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {bearer}\r\n"
    request = f"{head}Connection: close\r\n\r\n".encode()
    return await asyncio.gather(*(_exchange(port, request) for _ in range(number)))


async def _exchange(port: int, request: bytes) -> httpx.Response:
    start = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read(-1)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    response = httpx.Response(int(status.split()[1]), headers=headers, content=body)
    response.elapsed = timedelta(seconds=time.monotonic() - start)
    return response
