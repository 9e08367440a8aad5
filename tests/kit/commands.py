"""Runs commands in processes of their own, and looks at what they left in the database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from service.application import create_flask
from service.engine.database.transaction import db
from service.settings import load
from tests.kit.ports import free_port

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from service.cli import main; main(prog_name='byline')"]
PASSWORD = "correct horse battery staple"


def environment(folder: Path, **settings: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    home = f"sqlite:///{folder}/byline.db"
    own = {"PYTHONPATH": str(ROOT), "DATABASE_URL": home, "SHUTDOWN_DELAY": "0"}
    return {**kept, **own, **settings}


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def start(log: Path, port: int, **settings: str) -> subprocess.Popen[bytes]:
    """A `byline serve` in the folder of this file, to which it adds what it has to say."""
    return _start([*COMMAND, "serve"], log, PORT=str(port), **settings)


def _start(command: list[str], log: Path, **settings: str) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=log.parent,
            env=environment(log.parent, **settings),
            stdout=output,
            stderr=output,
        )


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[str]:
    """The address of a `byline serve` on a new database, which ends well when the block does."""
    upgraded = run(folder, "db", "upgrade", **settings)
    assert upgraded.returncode == 0, upgraded.stderr
    with running([*COMMAND, "serve"], folder, **settings) as url:
        yield url


@contextmanager
def running(command: list[str], folder: Path, **settings: str) -> Iterator[str]:
    """The address of a program that serves, which ends well when the block does."""
    port = free_port()
    log = folder / "serve.log"
    process = _start(command, log, **{"LOG_LEVEL": "WARNING", "PORT": str(port), **settings})
    try:
        _await(f"http://127.0.0.1:{port}/health/ready", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        ended = process.wait(timeout=60)
    assert ended in {0, -signal.SIGTERM}, log.read_text()  # the one worker raises it again


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
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


def execute(*statements):
    with create_flask(load()).app_context():
        with db.transaction() as transaction:
            for statement in statements:
                transaction.connection().execute(statement)
            transaction.commit()
        db.engine.dispose()
