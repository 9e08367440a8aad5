"""Writes log lines without delaying requests, even if nobody reads the lines."""

from __future__ import annotations

import logging
import os
import select
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

MAX_QUEUED_BYTES = 1024 * 1024  # for a slow reader; further lines are dropped and counted
EXIT_TIMEOUT_SECONDS = 1.0  # a process that exits waits this long for the reader of its log

Write = Callable[[bytes], int]


class LogOutput:
    """Writes whole lines to a stream without waiting for its reader.

    As long as the reader keeps up, a line is one write in the calling thread, and none is lost.
    Otherwise lines wait in memory, and a thread writes them when there is room.

    Any allocation may collect garbage, and a finaliser may log: `write` is then called again by the
    thread that is in it. So the lock lets that thread in, and its line waits for the one before.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        try:
            self._fd: int | None = stream.fileno()
        except (AttributeError, OSError, ValueError):  # it has no file descriptor
            self._fd = None
        self._write = None if self._fd is None else _non_blocking(self._fd)
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._dropped = 0
        self._is_inside_line = False  # part of a line has been written
        self._lost_line_end = False  # of the last line that was begun
        self._given: deque[bytes] = deque()  # to `write`, which has not looked at it yet
        self._is_putting = False
        self._is_draining = False  # a thread writes the queue, or is about to start
        self._lock = threading.RLock()

    def write(self, lines: bytes) -> None:
        """Write lines, each with its line feed, in any thread; raises nothing."""
        if self._fd is None:
            if self._stream is not None:  # None when the stream was closed before the start
                self._stream.buffer.write(lines)
                self._stream.buffer.flush()
            return
        with self._lock:
            self._given.append(lines)
            while self._given and not self._is_putting:  # again if one came as the inner loop ended
                self._is_putting = True
                try:
                    while self._given:
                        self._put(self._given.popleft())
                finally:
                    self._is_putting = False
            is_outermost = not self._is_putting
            starts = is_outermost and bool(self._queue) and not self._is_draining
            self._is_draining |= starts
        if starts:  # without the lock: this waits for the new thread, whose finalisers may log
            try:
                threading.Thread(target=self._drain, name="log", daemon=True).start()
            except RuntimeError:  # there are too many threads; the next line tries again
                self._is_draining = False

    def flush(self) -> None:
        """Wait briefly until queued lines have been read."""
        deadline = time.monotonic() + EXIT_TIMEOUT_SECONDS
        while self._queue and time.monotonic() < deadline:
            time.sleep(0.01)

    def readings(self) -> dict[tuple[str, ...], float]:
        """For the metrics."""
        return {("log_lines_dropped_total",): self._dropped}

    def _put(self, lines: bytes) -> None:
        """Write lines now, or into the queue if there is room, or count them as dropped."""
        rest: bytes | None = lines
        if self._write and not self._queue:
            rest = self._try(self._write, lines)
        # What has begun is finished, so that the next line does not follow half of one.
        if rest is None or (rest == lines and self._queued + len(rest) > MAX_QUEUED_BYTES):
            self._dropped += lines.count(b"\n")
        elif rest:
            self._queue.append(rest)
            self._queued += len(rest)

    def _try(self, write: Write, data: bytes) -> bytes | None:
        """The bytes that could not be written yet; None if they never can be."""
        try:
            written = write(b"\n" + data if self._lost_line_end else data)
        except BlockingIOError:
            return data
        except OSError:  # the reader has gone, or the disk is full
            self._lost_line_end |= self._is_inside_line
            self._is_inside_line = False
            return None
        if self._lost_line_end:
            self._lost_line_end = False
            written -= 1
        self._is_inside_line = written < len(data)
        return data[written:]

    def _drain(self) -> None:
        """Write the queued lines. No other thread takes from the queue, so this may wait without
        the lock."""
        fd = self._fd or 0
        write = self._write or partial(os.write, fd)
        while True:
            if self._write:
                _wait_for_room(fd)
            data = self._queue[0]
            rest = self._try(write, data)
            with self._lock:
                if rest is None:
                    self._dropped += data.count(b"\n")
                self._queued -= len(data) - len(rest or b"")
                if rest:
                    self._queue[0] = rest
                    continue
                self._queue.popleft()
                if not self._queue:
                    self._is_draining = False
                    return


class LogHandler(logging.Handler):
    """A handler for `logging` that writes to a LogOutput.

    It does not take the lock of `logging`: a finaliser that logs during a `write` would wait for it
    while the thread that has it waits for the `write`.
    """

    def __init__(self, output: LogOutput) -> None:
        super().__init__()
        self._output = output

    def handle(self, record: logging.LogRecord) -> bool:
        is_wanted = bool(self.filter(record))
        if is_wanted:
            self.emit(record)
        return is_wanted

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
        else:
            self._output.write(f"{line}\n".encode(errors="backslashreplace"))

    def flush(self) -> None:
        self._output.flush()


@lru_cache(8)
def output_of(stream: Any) -> LogOutput:
    """The one output of a stream, so that lines from everywhere are whole and in order."""
    return LogOutput(stream)


def _non_blocking(fd: int) -> Write | None:
    """A way to write there that never waits; None if there is none, as on other systems than Linux.

    The descriptor itself stays as it is: other processes may share it.
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return partial(os.write, fd)
    if stat.S_ISSOCK(mode):
        connection = socket.socket(fileno=os.dup(fd))
        return lambda data: connection.send(data, socket.MSG_DONTWAIT)
    try:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return partial(os.write, os.open(f"/proc/self/fd/{fd}", flags))
    except OSError:
        return None


def _wait_for_room(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll()
