"""`byline serve` in processes of their own, with one worker and with several."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from service.engine.serve.draining import CONNECTIONS_PER_TURN
from tests.kit import commands
from tests.kit.processes import Byline, Place
from tests.kit.smtp import until
from tests.kit.workers import answered_by

Start = Callable[..., Byline]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


@pytest.fixture
def start(place: Place) -> Iterator[Start]:
    """Starts a `byline serve` with settings, and with all its workers."""
    with ExitStack() as stack:

        def _start(**settings: str) -> Byline:
            byline = stack.enter_context(place.serving(**settings))
            workers = int(settings.get("WORKERS", 1))
            until(lambda: len([w for w in byline.workers if serves(w, byline.port)]) == workers)
            _await_end_of_start(byline)
            return byline

        yield _start


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Runs some Python in every `byline serve` of the test, before it begins."""

    def _patched(line: str) -> None:
        command = f"from service.cli import main; {line}; main(prog_name='byline')"
        monkeypatch.setattr(commands, "COMMAND", [sys.executable, "-c", command])

    return _patched


def _await_end_of_start(byline: Byline) -> None:
    """A worker that the supervisor has not heard yet is killed when the service is told to end, and
    a process that has opened some of its sockets ends without its delay."""
    answered: set[int] = set()
    with httpx.Client(base_url=byline.url, timeout=60) as client:
        # Every request takes a turn of the loop, and so does every socket.
        for _ in range(CONNECTIONS_PER_TURN + 1):
            client.get("/health/live")
    workers = {worker.pid for worker in byline.workers}
    if workers == {byline.process.pid}:
        return

    def all_have_answered() -> bool:
        with httpx.stream("GET", f"{byline.url}/health/live", timeout=60) as answer:
            answered.add(answered_by(answer))
        return answered == workers

    until(all_have_answered)
    supervisor = psutil.Process(byline.process.pid)
    looks = supervisor.num_ctx_switches().voluntary
    until(lambda: supervisor.num_ctx_switches().voluntary > looks + 2)


def serves(process: psutil.Process, port: int) -> bool:
    """Whether it listens, and has begun to deliver mails: the last but one thing of its start."""
    try:
        is_listening = any(
            socket.status == psutil.CONN_LISTEN and socket.laddr.port == port
            for socket in process.net_connections("tcp")
        )
        return is_listening and process.num_threads() > 1
    except psutil.NoSuchProcess:
        return False
