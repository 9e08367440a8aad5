"""Runs `python -c` in forked processes that have everything imported, which is most of a start.

Each process of pytest has one parent process, which has imported the service and done nothing else.
It forks for every command. The child is an ordinary process: it has its own pid, environment,
folder, signals and exit code. A `byline serve` with several workers forks them, too
(`tests.kit.forked_workers`).
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from tests.kit import forked_workers

ROOT = Path(__file__).parents[2]
_PROGRAM = "from tests.kit import forked; exec(forked.serve())"
SERVICE = ("service.cli", "tests.kit.warm")  # what is imported for a command
UNFORKED = {"PYTHONUNBUFFERED": "1"}  # a setting for a process with an interpreter of its own
_LARGEST = 1 << 20  # bytes of a request
_SIZE = 4  # bytes of its length, in front of it
_starting = threading.Lock()


class Process:
    """A running command, with the part of `subprocess.Popen` that the tests use."""

    def __init__(
        self,
        args: list[str],
        *,
        cwd: Path,
        env: dict[str, str],
        stdout: IO[Any],
        stderr: IO[Any],
        modules: tuple[str, ...] = SERVICE,
    ) -> None:
        self.args = args
        self.returncode: int | None = None
        wanted = {
            "code": args[0],
            "arguments": args[1:],
            "folder": str(cwd),
            "environment": env,
            "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        }
        request = json.dumps(wanted).encode()
        request = len(request).to_bytes(_SIZE) + request
        self._asking = threading.Lock()
        self._line = socket.socket(socket.AF_UNIX)
        with _starting:  # once, whichever thread is first
            self._line.connect(_parent(modules))
        streams = [0, stdout.fileno(), stderr.fileno()]
        sent = socket.send_fds(self._line, [request], streams)
        self._line.sendall(request[sent:])
        self.pid = int.from_bytes(self._line.recv(_SIZE))

    def poll(self) -> int | None:
        """The exit code, or minus the signal; None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        if self._ended(timeout) is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        with self._asking:
            if self.returncode is None and select.select([self._line], [], [], timeout)[0]:
                with self._line:
                    self.returncode = int.from_bytes(self._line.recv(_SIZE), signed=True)
            return self.returncode


def can_run(command: list[str], environment: dict[str, str]) -> bool:
    """Whether a forked process would behave the same: this interpreter and this source, a system
    with fork, and no variable that an interpreter reads when it starts."""
    of_interpreter = {name for name in environment if name.startswith("PYTHON")}
    is_ours = environment.get("PYTHONPATH") == str(ROOT) and of_interpreter == {"PYTHONPATH"}
    return sys.platform == "linux" and command[:2] == [sys.executable, "-c"] and is_ours


@cache
def _parent(modules: tuple[str, ...]) -> str:
    """The address of the parent process, which ends with this one."""
    folder = TemporaryDirectory(prefix="byline-forked-")
    address = f"{folder.name}/socket"
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, address, *modules],
        env=kept | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )

    def end() -> None:
        process.communicate()  # closes its standard input, which ends it
        folder.cleanup()

    atexit.register(end)
    while not Path(address).exists():
        assert process.poll() is None, "what forks has not come up"
        time.sleep(0.01)
    return address


def serve() -> str:
    """In the parent, fork for each request until standard input ends; in a child, return the code
    to run."""
    address, *modules = sys.argv[1:]
    with warnings.catch_warnings(action="ignore"):  # those of libraries, as in pyproject.toml
        for module in modules:
            importlib.import_module(module)
    gc.freeze()  # or garbage collection would copy memory that children share
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen(64)
    waker, woken = socket.socketpair()
    waker.setblocking(False)
    woken.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for pytest
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    Path(f"{address}.new").rename(address)
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([0, listener, waker], [], [])
        if waker in ready:
            waker.recv(4096)
            _bury(running)
        if listener in ready and (code := _begin(listener.accept()[0], running)):
            # Detach the sockets: their file numbers will be those of other files.
            for own in (listener, waker, woken, *running.values()):
                own.detach()
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            return forked_workers.prepared(code) if forked_workers.are_wanted() else code
        if 0 in ready:
            os._exit(0)


def _bury(running: dict[int, socket.socket]) -> None:
    """Report the exit codes of the children that have ended."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with running.pop(pid) as line:
            code = os.waitstatus_to_exitcode(status)
            line.send(code.to_bytes(_SIZE, signed=True), socket.MSG_NOSIGNAL)


def _begin(line: socket.socket, running: dict[int, socket.socket]) -> str:
    """Fork for a request. In the child, return its code; in the parent, an empty text."""
    request, streams, _, _ = socket.recv_fds(line, _LARGEST, 3)
    while len(request) < _SIZE + int.from_bytes(request[:_SIZE]):
        request += line.recv(_LARGEST)
    wanted = json.loads(request[_SIZE:])
    pid = os.fork()
    if pid:
        running[pid] = line
        line.send(pid.to_bytes(_SIZE), socket.MSG_NOSIGNAL)
        for stream in streams:
            os.close(stream)
        return ""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    line.detach()
    resource.setrlimit(resource.RLIMIT_NOFILE, tuple(wanted["files"]))
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    sys.argv = ["-c", *wanted["arguments"]]
    return str(wanted["code"])
