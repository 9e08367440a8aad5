"""Runs commands in processes of their own, and reads what they stored in the database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import httpx

from service.engine.database.transaction import db
from service.flask_app import create_flask
from service.settings import load
from tests.kit import databases, forked
from tests.kit.ports import free_port

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from service.cli import main; main(prog_name='byline')"]
PASSWORD = "correct horse battery staple"
PATIENCE = 60  # seconds
_LARGEST = 1 << 24  # bytes that a command may print

Process = forked.Process | subprocess.Popen[bytes]


def environment(folder: Path, **settings: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    home = f"sqlite:///{folder}/byline.db"
    own = {"PYTHONPATH": str(ROOT), "DATABASE_URL": home, "SHUTDOWN_DELAY": "0"}
    return {**kept, **own, **settings}


# `byline demo --users 1{NO_POSTS}` adds a user and nothing else.
NO_POSTS = ""
NO_POSTS = " --posts 0"  # posts


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments]
    with TemporaryFile() as output, TemporaryFile() as errors:
        process = begin(command, folder, environment(folder, **settings), output, errors)
        try:
            code = process.wait(timeout=PATIENCE)
        finally:
            process.kill()
        said = [os.pread(file.fileno(), _LARGEST, 0).decode() for file in (output, errors)]
    return subprocess.CompletedProcess(command, code, *said)


def start(log: Path, port: int, **settings: str) -> Process:
    """A `byline serve` in the folder of the file `log`, which gets its output."""
    return _start([*COMMAND, "serve"], log, PORT=str(port), **settings)


def _start(command: list[str], log: Path, **settings: str) -> Process:
    with log.open("ab") as output:
        return begin(command, log.parent, environment(log.parent, **settings), output, output)


def begin(
    command: list[str], folder: Path, own: dict[str, str], output: IO[bytes], errors: IO[bytes]
) -> Process:
    """Start a command in the folder, with these variables in its environment and no others."""
    if forked.can_run(command, own):
        return forked.Process(command[2:], cwd=folder, env=own, stdout=output, stderr=errors)
    return subprocess.Popen(command, cwd=folder, env=own, stdout=output, stderr=errors)


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[str]:
    """The address of a `byline serve` on a new database; it must stop without an error."""
    databases.upgrade(environment(folder, **settings)["DATABASE_URL"])
    with running([*COMMAND, "serve"], folder, **settings) as url:
        yield url


@contextmanager
def running(command: list[str], folder: Path, **settings: str) -> Iterator[str]:
    """The address of a server program; it must stop without an error when the block ends."""
    port = free_port()
    log = folder / "serve.log"
    process = _start(command, log, **{"LOG_LEVEL": "WARNING", "PORT": str(port), **settings})
    try:
        _await(f"http://127.0.0.1:{port}/health/ready", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        ended = process.wait(timeout=PATIENCE)
    assert ended in {0, -signal.SIGTERM}, log.read_text()  # a single worker raises the signal again


def _await(url: str, process: Process) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(url).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError("`byline serve` does not answer")


def rows(statement):
    with create_flask(load()).app_context():
        with db.engine.connect() as connection:
            found = connection.execute(statement).all()
        db.engine.dispose()
    return found


def execute(*statements, rows=None):
    """Run the statements in one transaction, each once for every one of the rows, if given."""
    with create_flask(load()).app_context():
        with db.transaction() as transaction:
            for statement in statements:
                transaction.connection().execute(statement, rows)
            transaction.commit()
        db.engine.dispose()
