"""A real nginx with the configuration of deploy/, in front of real `byline serve` processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from tests.kit.commands import start
from tests.kit.ports import free_port, listens
from tests.kit.programs import program
from tests.kit.smtp import until

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx"


@dataclass
class Upstream:
    """A `byline serve`."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def requests(self) -> list[dict[str, Any]]:
        """The log lines of its requests so far."""
        return [line for line in _lines(self.log) if line.get("event") == "request"]


@dataclass
class Proxy:
    """An nginx."""

    url: str
    log: Path

    def client(self, address: str = "127.0.0.1", **options: Any) -> httpx.Client:
        """A client with an address of this machine: any in 127.0.0.0/8."""
        transport = httpx.HTTPTransport(local_address=address)
        return httpx.Client(base_url=self.url, transport=transport, **{"timeout": 30, **options})

    def requests(self) -> list[dict[str, Any]]:
        return list(_lines(self.log))


@contextmanager
def byline(folder: Path, **settings: str) -> Iterator[Upstream]:
    """A server on a migrated database."""
    port = free_port()
    log = folder / f"byline-{port}.log"
    settings = {"TRUSTED_PROXIES": "127.0.0.1", "SHUTDOWN_DELAY": "0"} | settings
    process = start(log, port, **settings)
    try:
        until(lambda: process.poll() is not None or _answers(port))
        assert process.poll() is None, log.read_text()
        yield Upstream(port, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


@contextmanager
def nginx(folder: Path, *ports: int, more: str = "", **words: str) -> Iterator[Proxy]:
    """An nginx in front of the servers on these ports.

    `words` replaces times and sizes in its configuration; `more` is added to `listen.conf`.
    """
    binary = program("nginx")
    port = free_port()
    home = folder / f"nginx-{port}"
    shutil.copytree(CONFIGURATION, home)
    main, listen = home / "nginx.conf", home / "listen.conf"
    text = main.read_text().replace("/tmp/", f"{home}/")
    for name, value in words.items():
        before, found, after = text.partition(f" {name} ")
        assert found, name
        text = f"{before} {name} {value};{after.partition(';')[2]}"
    main.write_text(text)
    listening = listen.read_text().replace("listen 8080;", f"listen 127.0.0.1:{port};")
    listen.write_text(listening + more)
    servers = (f"server 127.0.0.1:{each} fail_timeout=5s;\n" for each in ports)
    (home / "servers.conf").write_text("".join(servers))
    # As root, run its workers as root too: they must be able to read the folder.
    globally = "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"
    log, errors = home / "access.log", home / "error.log"
    with log.open("wb") as output, errors.open("wb") as complaints:
        process = subprocess.Popen(
            [binary, "-p", str(home), "-c", str(main), "-g", globally],
            stdout=output,
            stderr=complaints,
        )
    try:
        until(lambda: process.poll() is not None or listens(port))
        assert process.poll() is None, errors.read_text()
        yield Proxy(f"http://127.0.0.1:{port}", log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready").is_success
    except httpx.HTTPError:
        return False


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    for line in log.read_bytes().splitlines():
        if line.startswith(b"{"):
            yield orjson.loads(line)
