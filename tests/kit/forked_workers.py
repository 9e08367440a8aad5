"""Workers of a forked `byline serve`, forked as well: each import of the service takes a second.

The processes are related as they are in service:

    supervisor ── worker, worker, ...       what `multiprocessing` would start with an interpreter
        └──────── copy                      of the supervisor before it ran anything

The copy forks twice, so that the worker is an orphan, which the supervisor inherits.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import sys
from multiprocessing import util
from pathlib import Path
from typing import Any

NAME = "spawn_main"  # of a worker; also in the command line of one with an interpreter of its own
_INHERITS_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER
_LARGEST = 1 << 17  # bytes of a request
_FILES = 32  # that a worker may be given
_SIZE = 4  # bytes of a pid
_HANDLERS = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}


def are_wanted() -> bool:
    """Whether this process is going to be a supervisor."""
    return "serve" in sys.argv and os.environ.get("WORKERS", "1") != "1"


def prepared(code: str) -> str:
    """Leave a copy of this process behind, and have `multiprocessing` fork it; the code to run, in
    a worker that of the worker."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    copy = os.fork()
    if not copy:
        ours.close()
        return _fork_workers(theirs)
    theirs.close()
    start = util.spawnv_passfds

    def _start(path: bytes, arguments: list[bytes], files: list[int]) -> int:
        code, mark = map(os.fsdecode, arguments[-2:])
        if NAME not in code:
            return start(path, arguments, files)
        wanted = {
            "code": code,
            "mark": mark,
            "environment": dict(os.environ),
            "folder": str(Path.cwd()),
            "limit": resource.getrlimit(resource.RLIMIT_NOFILE),
            "files": list(files),
        }
        socket.send_fds(ours, [json.dumps(wanted).encode()], files)
        return int.from_bytes(ours.recv(_SIZE))

    def _end() -> None:
        ours.close()
        os.waitpid(copy, 0)

    util.spawnv_passfds = _start
    ctypes.CDLL(None).prctl(_INHERITS_ORPHANS, 1, 0, 0, 0)
    atexit.register(_end)
    return code


def _fork_workers(line: socket.socket) -> str:
    """In the copy, fork for each request until the supervisor ends; in a worker, its code."""
    for number in _HANDLERS:  # sent to the group; the supervisor acts
        signal.signal(number, signal.SIG_IGN)
    while True:
        request, files, _, _ = socket.recv_fds(line, _LARGEST, _FILES)
        if not request:
            os._exit(0)
        reading, writing = os.pipe()
        if not (between := os.fork()):
            if worker := os.fork():
                os.write(writing, worker.to_bytes(_SIZE))
                os._exit(0)
            line.detach()
            return _become_a_worker(json.loads(request), files)
        os.waitpid(between, 0)  # now its child is the supervisor's
        line.send(os.read(reading, _SIZE))
        for file in (reading, writing, *files):
            os.close(file)


def _become_a_worker(wanted: dict[str, Any], files: list[int]) -> str:
    """Take over what a new process would get from the supervisor; the code to run."""
    numbers = wanted["files"]
    first = max(*numbers, *files) + 1
    files = [fcntl.fcntl(file, fcntl.F_DUPFD, first) for file in files]
    os.closerange(3, first)
    for file, number in zip(files, numbers, strict=True):
        os.dup2(file, number)
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))
    resource.setrlimit(resource.RLIMIT_NOFILE, tuple(wanted["limit"]))
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    for number, handler in _HANDLERS.items():
        signal.signal(number, handler)
    Path("/proc/self/comm").write_text(NAME)
    sys.argv = ["-c", wanted["mark"]]
    return str(wanted["code"])
