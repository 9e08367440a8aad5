"""Runs servers as processes on their own core, and reads from /proc what they cost."""

from __future__ import annotations

import http.client
import math
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

PATIENCE = 60  # seconds that a server may take until its first answer
PROC = Path("/proc")
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
SERVER, LOAD, BOTH = {0}, {1}, {0, 1}  # indexes into CORES


@contextmanager
def on(places: set[int] | None) -> Iterator[None]:
    """Pins processes started in the block to these cores, if there are two and the system can.

    With None it leaves them all cores.
    """
    if places is None or len(CORES) < 2:
        yield
        return
    os.sched_setaffinity(0, {CORES[place] for place in places})
    try:
        yield
    finally:
        os.sched_setaffinity(0, CORES)


@dataclass(frozen=True)
class Server:
    """A running server: its process and all descendants."""

    port: int
    process: subprocess.Popen[bytes]
    seconds_to_answer: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu(self) -> float:
        return cpu(self.process.pid)

    def kernel(self) -> float:
        """The seconds of `cpu` that were system time."""
        return cpu(self.process.pid, slice(1, None, 2))

    def resident(self) -> float:
        """MB of memory in use; NaN without /proc."""
        return self._memory("VmRSS")

    def peak(self) -> float:
        """The most MB of memory in use so far; NaN without /proc."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> float:
        if not PROC.is_dir():
            return math.nan
        return sum(_status(pid, name) for pid in tree(self.process.pid)) / 1024


def cpu(pid: int, which: slice = slice(None)) -> float:
    """Seconds of user and system time so far of a process and its descendants, those included
    that have ended; NaN without /proc. `which` chooses from (user, system, user of those that have
    ended, system of those)."""
    if not PROC.is_dir():
        return math.nan
    return sum(sum(_ticks(each)[which]) for each in tree(pid)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(
    command: Callable[[int], list[str]],
    folder: Path,
    environment: Mapping[str, str],
    cores: set[int] | None = SERVER,
) -> Iterator[Server]:
    """A running server that has answered; its folder also gets a file with its output."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    log = folder / "log"
    start = time.perf_counter()
    with log.open("ab") as output, on(cores):
        process = subprocess.Popen(
            command(port),
            cwd=folder,
            env={**environment, "PORT": str(port)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(process, port, log)
        yield Server(port, process, time.perf_counter() - start)
    finally:
        _stop(process)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait for an answer of any status."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        api = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            api.request("GET", "/health/live")
            api.getresponse()
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.005)  # short, because the time to the first answer is measured with it
        finally:
            api.close()
    last = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
    raise click.ClickException(f"{' '.join(map(str, process.args))} does not answer:\n{last}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:  # it is waiting for requests that never end
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for each in found:
        for children in PROC.glob(f"{each}/task/*/children"):
            found += map(int, children.read_text().split())
    return found


def _ticks(pid: int) -> list[int]:
    """User and system time of the process, and of its children that have ended."""
    try:
        line = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has ended since it was found
        return [0] * 4
    # The second field is the command in parentheses, which may contain spaces (proc(5)).
    fields = line.rpartition(")")[2].split()
    return [int(field) for field in fields[11:15]]


def _status(pid: int, name: str) -> int:
    """A value in kilobytes."""
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
