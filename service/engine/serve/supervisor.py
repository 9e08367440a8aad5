"""Worker processes that share listening sockets, each replaced when it has died or is frozen."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from service.engine.serve.draining import (
    CLOSE,
    CLOSED,
    DRAIN,
    FORCE,
    HANDSHAKE_SECONDS,
    RETIRE,
    Server,
    mute,
)
from service.engine.serve.standard_streams import report_crashes

POLL_SECONDS = 0.1  # between two looks at the workers
HEARTBEAT_TIMEOUT_SECONDS = 15.0  # a worker silent for this long counts as frozen, and is killed
START_TIMEOUT_SECONDS = 60.0  # the same for a worker that is starting
PAUSE_DETECTED_SECONDS = 2.0  # if two looks are further apart, the supervisor was paused
CLOSE_TIMEOUT_SECONDS = 1.0  # workers have this long to accept the connections in the queue
RESTART_DELAY_SECONDS = 1.0  # after a worker that did not start

logger = logging.getLogger(__name__)
_spawn = multiprocessing.get_context("spawn")
_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
]


class Supervisor:
    """Keeps `config.workers` processes serving on `listeners` until it is told to end.

    SIGTERM and SIGINT mean what they mean to a `Server`; SIGHUP replaces the workers, each by one
    that is ready.
    """

    def __init__(
        self, config: uvicorn.Config, listeners: list[socket.socket], delay: float
    ) -> None:
        self._config = config
        self._listeners = listeners
        self._listeners_are_open = True
        self._delay = delay
        self._workers: list[_Worker] = []
        self._looked = math.inf  # when the workers were last looked at
        self._a_worker_was_ready = False
        self._starts = 0.0  # the earliest time for another start
        self._closes: float | None = None  # when the listeners are to close; None: not ending
        self._workers_told_to_close = False
        self._failure = 0

    def run(self) -> None:
        """Raises SystemExit when no worker comes up."""
        try:
            with _signals() as (told, waker):
                self._complete(time.monotonic())
                while self._workers or self._closes is None:
                    self._wait(waker)
                    self._turn(told, time.monotonic())
        finally:
            self._close_listeners()
            for worker in self._workers:
                worker.line.close()  # a worker ends when its line is closed
        if self._failure:
            sys.exit(self._failure)

    def _wait(self, waker: socket.socket) -> None:
        """Wait for a signal, a word or the end of a worker, at most POLL_SECONDS."""
        lines = [worker.line for worker in self._workers if not worker.has_hung_up]
        wait([waker, *lines, *(worker.process.sentinel for worker in self._workers)], POLL_SECONDS)
        with suppress(BlockingIOError):
            waker.recv(4096)

    def _turn(self, told: list[int], now: float) -> None:
        while told:
            self._heed(told.pop(0), now)
        self._look(now)
        if self._closes is None:
            self._complete(now)
        elif now >= self._closes and self._listeners_are_open:
            self._close(now - self._closes)

    def _heed(self, received: int, now: float) -> None:
        if received == getattr(signal, "SIGHUP", None):
            for worker in self._workers:
                worker.is_to_be_replaced = True
        elif self._closes is None:
            self._end(now if received == signal.SIGINT else now + self._delay)
        elif now < self._closes:
            self._closes = now
        elif received == signal.SIGINT:
            self._tell_all(FORCE)

    def _end(self, closes: float) -> None:
        self._closes = closes
        self._tell_all(DRAIN)
        for worker in self._workers:
            if not worker.is_ready:
                worker.process.kill()  # it would go on listening when the others have closed

    def _close(self, late: float) -> None:
        """One step of closing the listeners; `late` is the time since the first, in seconds."""
        if not self._workers_told_to_close:
            mute(self._listeners)
            time.sleep(HANDSHAKE_SECONDS)  # the kernel ends the handshakes that have begun
            self._tell_all(CLOSE)
            self._workers_told_to_close = True
        elif late > CLOSE_TIMEOUT_SECONDS or all(w.has_closed_listeners for w in self._workers):
            for listener in self._listeners:
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)  # in frozen workers too, which have it open
            self._close_listeners()

    def _close_listeners(self) -> None:
        self._listeners_are_open = False
        for listener in self._listeners:
            listener.close()

    def _tell_all(self, order: bytes) -> None:
        for worker in self._workers:
            worker.tell(order)

    def _look(self, now: float) -> None:
        """Read what the workers said, kill those that are frozen, and remove those that ended."""
        # After a pause of the container or job, nothing was read for a while: a worker that
        # seems silent need not be frozen.
        was_stopped = now - self._looked > PAUSE_DETECTED_SECONDS
        self._looked = now
        for worker in self._workers.copy():
            if was_stopped:
                worker.heard = now
            worker.listen(now)
            self._a_worker_was_ready |= worker.is_ready
            if now > worker.heard + (
                HEARTBEAT_TIMEOUT_SECONDS if worker.is_ready else START_TIMEOUT_SECONDS
            ):
                logger.error("worker %s is frozen", worker.process.pid)
                worker.process.kill()
                worker.heard = now
            elif worker.closes is not None and now >= worker.closes:
                worker.tell(CLOSE)
                worker.closes = None
            if not worker.process.is_alive():
                self._bury(worker, now)

    def _bury(self, worker: _Worker, now: float) -> None:
        self._workers.remove(worker)
        worker.line.close()
        code = worker.process.exitcode or 0
        if worker.is_retiring or self._closes is not None:
            return
        if worker.is_ready:
            logger.error("worker %s has died (%s)", worker.process.pid, code)
            return
        logger.error("worker %s did not start (%s)", worker.process.pid, code)
        self._put_off_starts(now)
        if code > 0 and not self._a_worker_was_ready:  # no other would start either
            self._failure = code
            self._end(now)

    def _put_off_starts(self, now: float) -> None:
        self._starts = now + RESTART_DELAY_SECONDS
        for worker in self._workers:
            worker.is_to_be_replaced = False  # the old ones work, the new ones do not

    def _complete(self, now: float) -> None:
        """Start the workers that are missing, and one more while some are to be replaced."""
        serving = [worker for worker in self._workers if not worker.is_retiring]
        stale = [worker for worker in serving if worker.is_to_be_replaced]
        missing = self._config.workers + bool(stale) - len(serving)
        if missing > 0 and now >= self._starts:
            try:
                for _ in range(missing):
                    self._workers.append(_Worker(self._config, self._listeners))
            except OSError as error:  # the system allows no more processes, or files
                if not self._a_worker_was_ready:
                    raise
                logger.error("another worker did not start (%s)", error)
                self._put_off_starts(now)
        elif stale and missing <= 0 and all(worker.is_ready for worker in serving):
            stale[0].is_retiring = True
            stale[0].closes = now + self._delay
            stale[0].tell(RETIRE)


class _Worker:
    """A worker process, as the supervisor knows it."""

    def __init__(self, config: uvicorn.Config, listeners: list[socket.socket]) -> None:
        self.line, theirs = socket.socketpair()
        self.line.setblocking(False)
        self.process = _spawn.Process(target=_work, args=(config, listeners, theirs))
        try:
            self.process.start()
        except OSError:
            self.line.close()
            raise
        finally:
            theirs.close()
        self.heard = time.monotonic()
        self.is_ready = False
        self.has_hung_up = False
        self.has_closed_listeners = False
        self.is_to_be_replaced = False
        self.is_retiring = False
        self.closes: float | None = None

    def tell(self, order: bytes) -> None:
        with suppress(OSError):
            self.line.send(order)

    def listen(self, now: float) -> None:
        if self.has_hung_up:
            return
        with suppress(BlockingIOError):
            try:
                said = self.line.recv(4096)
            except ConnectionError:
                said = b""
            self.has_hung_up = not said
            self.is_ready |= bool(said)
            self.has_closed_listeners |= CLOSED in said
            self.heard = now


def _work(config: uvicorn.Config, listeners: list[socket.socket], line: socket.socket) -> None:
    report_crashes()
    for number in _SIGNALS:  # a terminal sends them to the whole group; the supervisor acts
        signal.signal(number, signal.SIG_IGN)
    line.setblocking(False)
    config.configure_logging()
    server = Server(config, line=line)
    server.run(listeners)
    if not server.started:
        sys.exit(STARTUP_FAILURE)
    logging.shutdown()
    os._exit(0)  # everything is closed; a regular exit of the interpreter takes a second


@contextmanager
def _signals() -> Iterator[tuple[list[int], socket.socket]]:
    """The list that signals are added to, and a socket that is readable after each."""
    told: list[int] = []
    waker, woken = socket.socketpair()
    with waker, woken:
        waker.setblocking(False)
        woken.setblocking(False)
        before: dict[int, Any] = {
            number: signal.signal(number, lambda received, _: told.append(received))
            for number in _SIGNALS
        }
        fd = signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        try:
            yield told, waker
        finally:
            signal.set_wakeup_fd(fd)
            for number, handler in before.items():
                signal.signal(number, handler)
