"""Sockets that jobs on the event loop wait for."""

from __future__ import annotations

import asyncio
import select
from contextvars import Context
from functools import partial

from service.engine.work.greenlets import Worker, here, on_loop

_ENDED = select.POLLERR | select.POLLHUP


class Socket:
    """A socket on which one job at a time waits; `fileno` is its file descriptor.

    It stays registered with the loop from the first wait until `close`, or until something comes
    that no job waits for. `has_news` tells of that; most likely the other side has closed the
    socket. Call `close` before the descriptor is closed.
    """

    __slots__ = (
        "_fileno",
        "_has_ended",
        "_is_late",
        "_loop",
        "_ready",
        "_worker",
        "_writes",
        "has_news",
    )

    def __init__(self, fileno: int) -> None:
        self._fileno = fileno
        self._loop: asyncio.AbstractEventLoop | None = None  # once registered
        self._worker: Worker | None = None
        self._writes = False  # whether the loop looks for room to write, too
        self._is_late = False
        self._has_ended = False  # as far as `look` has seen; there may be something left to read
        self._ready = 0
        self.has_news = False

    def wait(self, until: float | None, *, writes: bool) -> int:
        """Wait until it can be read, which returns 1, or with `writes` until it can be read or
        written, which returns 1 or 2 (psycopg's `Ready`). Raises TimeoutError at `until`, in
        monotonic seconds."""
        worker = here()
        loop = worker.loop
        if writes or self._loop is not loop:
            on_loop(partial(self._register, loop, writes=writes))
        if until is not None:
            worker.pool.watch(self, until)
        self._worker, self._is_late = worker, False
        try:
            worker.pause()
        finally:
            self._worker = None
            worker.pool.unwatch(self)
        if self._is_late:
            raise TimeoutError
        return self._ready

    def look(self, *, is_late: bool) -> None:
        """Tell the job that waits what the loop may not have told it; end its wait if it is late.

        A loop that was held up finds a wait late before it looks for the answer, which may be
        there. And uvloop tells of a reset once and then forgets the socket, although the job may
        not have read everything that came before.
        """
        worker = self._worker
        if worker is None:
            return
        arrived = select.poll()
        arrived.register(self._fileno, select.POLLIN)
        events = next((events for _, events in arrived.poll(0)), 0)
        self._has_ended = bool(events & _ENDED)
        if self._has_ended or (is_late and events):
            self._on_ready(1)
        elif is_late:
            self._is_late = True
            self._resume(worker)

    @property
    def is_registered(self) -> bool:
        """Whether the loop looks for news, or has found some."""
        return self._loop is not None or self.has_news

    def close(self) -> None:
        """Have the loop forget it."""
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            on_loop(partial(loop.remove_reader, self._fileno))

    def _register(self, loop: asyncio.AbstractEventLoop, *, writes: bool = False) -> None:
        # In an empty context: the loop would keep the job's context, and with it the request.
        context = Context()
        if self._loop is not loop:
            context.run(loop.add_reader, self._fileno, self._on_ready, 1)
            self._loop = loop
            self.has_news = False
        if writes:
            context.run(loop.add_writer, self._fileno, self._on_ready, 2)
            self._writes = True

    def _resume(self, worker: Worker) -> None:
        """Go on with the job that waits."""
        self._worker = None
        if self._writes:
            self._writes = False
            worker.loop.remove_writer(self._fileno)
        worker.pool.resume(worker)

    def _on_ready(self, ready: int) -> None:
        worker = self._worker
        if worker is not None:
            self._ready = ready
            self._resume(worker)
            if self._has_ended and self._loop is not None:  # it may wait again
                self.close()
                self._register(worker.loop)
        elif ready == 1:
            self.has_news = True
            self.close()  # or the loop would report it again and again
