"""Runs `byline serve` in processes of its own, which tests kill, stop or replace."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from service.engine.tokens.keys import generate_key
from tests.kit import commands, databases, forked_workers
from tests.kit.commands import PASSWORD, ROOT
from tests.kit.ports import free_port

PATIENCE = 60  # seconds
# A new connection for each request, because a replaced process closes its connections.
_each_anew = httpx.Client(
    timeout=PATIENCE, verify=False, limits=httpx.Limits(max_keepalive_connections=0)
)


@dataclass
class Byline:
    """A `byline serve`, with its workers if it has any."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def family(self) -> list[psutil.Process]:
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    @property
    def workers(self) -> list[psutil.Process]:
        """The worker processes, which answer requests."""
        spawned = [process for process in self.family if _is_worker(process)]
        return spawned or [psutil.Process(self.process.pid)]

    @property
    def held(self) -> dict[str, int]:
        """Its memory, threads and open files; not those of workers."""
        process = psutil.Process(self.process.pid)
        return {
            "MiB": process.memory_info().rss // 2**20,
            "threads": process.num_threads(),
            "descriptors": process.num_fds(),
        }

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return _each_anew.request(method, f"{self.url}{path}", **more)

    def status(self, path: str) -> int:
        """The status of the answer, 0 if there is none."""
        try:
            return self.get(path).status_code
        except httpx.TransportError:
            return 0

    def wait(self, path: str = "/health/ready", status: int = 200) -> None:
        """Wait until it answers with this status."""
        deadline = time.monotonic() + PATIENCE
        while self.status(path) != status:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"{path} is not {status}: {self.log.read_text()}"
            time.sleep(0.05)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Kill all its processes."""
        with suppress(psutil.NoSuchProcess):
            for process in self.family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.wait(PATIENCE)


@dataclass
class Account:
    """A signed-in user."""

    email: str
    tokens: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.tokens["user"]["id"])

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}


class Place:
    """A folder and settings that several processes share.

    The database is migrated at once, over the address `schema` if DATABASE_URL is a PgBouncer's.
    """

    def __init__(self, folder: Path, schema: str | None = None, **settings: str) -> None:
        self.folder = folder
        self.settings = {
            "DATABASE_URL": f"sqlite:///{folder}/byline.db",
            "JWT_KEYS_DIR": str(folder / "keys"),
            "MAIL_DIR": str(folder / "mail"),
            "RATE_LIMIT_ENABLED": "false",
            "LOG_LEVEL": "WARNING",
            "LOG_FORMAT": "json",
            **settings,
        }
        folder.mkdir(exist_ok=True)
        generate_key(folder / "keys")
        databases.upgrade(schema or self.settings["DATABASE_URL"])

    def run(
        self, *arguments: str, root: Path = ROOT, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the Byline whose source is in `root`."""
        return commands.run(self.folder, *arguments, **self._settings(root, settings))

    @contextmanager
    def serving(
        self, *, root: Path = ROOT, port: int = 0, wait: bool = True, **settings: str
    ) -> Iterator[Byline]:
        """A `byline serve` that is ready, until the block ends; its log must have no
        traceback and no password."""
        byline = self.start(root=root, port=port, **settings)
        try:
            if wait:
                byline.wait()
            yield byline
        finally:
            byline.end()
        log = byline.log.read_text()
        assert "Traceback" not in log, log
        assert PASSWORD not in log

    def start(self, *, root: Path = ROOT, port: int = 0, **settings: str) -> Byline:
        port = port or free_port()
        log = self.folder / f"{port}.log"
        return Byline(commands.start(log, port, **self._settings(root, settings)), port, log)

    def _settings(self, root: Path, more: dict[str, str]) -> dict[str, str]:
        return {**self.settings, **more, "PYTHONPATH": str(root)}


def sign_up(url: str) -> Account:
    """A new user, registered and signed in."""
    email = f"{secrets.token_hex(6)}@example.com"
    known = {"email": email, "password": PASSWORD}
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        assert client.post("/auth/register", json=known).status_code == 201
        answer = client.post("/auth/login", json=known)
    assert answer.status_code == 200, answer.text
    return Account(email, answer.json())


def _is_worker(process: psutil.Process) -> bool:
    try:
        return any(forked_workers.NAME in word for word in (process.name(), *process.cmdline()))
    except psutil.NoSuchProcess:  # or it is a zombie that has not been reaped
        return False


def told(held: dict[str, int]) -> str:
    """What is held, for the table."""
    return ", ".join(f"{number} {name}" for name, number in held.items())


def seconds(name: str, default: int) -> int:
    """A length of time, which a variable of the environment may override."""
    return int(os.environ.get(name, default))
