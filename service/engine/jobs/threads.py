"""From the event loop to a worker thread and back in one hop each, with an end to every queue.

Replaces a2wsgi, which takes three blocking round trips a response, has ten threads for everything
and loses one for ever when a client stops reading. Saves about 200 us a request.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from service.engine.problems import Unavailable

QUEUE_TIMEOUT_SECONDS = 5.0  # a request waits this long for a thread, then the answer is 503
LARGE_OUTCOME_BYTES = 64 * 1024  # an outcome from this size on counts against MAX_LARGE_OUTCOMES
MAX_LARGE_OUTCOMES = 4  # of one pool that wait for the loop
MAX_THREADS_AFTER_LARGE = 2  # busy threads, up to which one goes on at once after a large outcome
QUEUE_CHECK_SECONDS = 0.5  # between two looks for requests that have waited too long


class Job(NamedTuple):
    """A call that waits for a thread. `origin` is the address of the client that it is for."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    since: float
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    origin: str


class Pool:
    """Threads that run functions for the event loop.

    At most `capacity` calls are under way or waiting; one more, or one that has waited too long, is
    refused with `Unavailable`. `nice` lowers the threads' priority, where threads can have one.
    `patience` is for functions that mostly compute, where a second thread would only be in the
    first one's way: it is woken when for so many seconds none has become free. What short calls
    give may wait as long to be handed back.

    `size` gives the bytes of an outcome. After a large one a thread rests if others are at work,
    and none starts anything while the loop has MAX_LARGE_OUTCOMES of them to fetch. Otherwise the
    answers to many clients would fill the memory: threads are faster than the loop sends.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        capacity: int,
        *,
        nice: int = 0,
        patience: float = 0,
        size: Callable[[Any], int] = lambda _: 0,
    ) -> None:
        self._name = name
        self._threads = threads
        self._capacity = capacity
        self._nice = nice
        self._patience = patience
        self._size = size
        self._large: deque[None] = deque()  # one for each large outcome: counted without a lock
        self._jobs: deque[Any] = deque()  # a Job as a plain tuple, which is made faster, or None
        self._jobs_started = 0  # jobs, so that it shows whether they are
        self._idle: list[threading.Lock] = []  # of threads that wait, the last to come first
        self._outcomes: deque[tuple[Any, Callable[[Any], None], Any, bool]] = deque()
        self._fetch_is_scheduled = False  # the loop, to fetch the outcomes
        self._watch: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._pending = 0
        self._refusals = 0
        self._alive = 0  # threads: none before the first call, because a fork would lose them

    async def run(self, function: Callable[..., Any], *arguments: Any, origin: str = "") -> Any:
        """What the function returns or raises, run in a thread for a client of `origin`."""
        self._admit(origin)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._pending += 1
        try:
            self._jobs.append((loop, future, time.monotonic(), function, arguments, origin))
            if not self._patience or len(self._idle) == self._alive:
                self._wake()
            elif self._watch is None:
                self._look_later(loop)
            if self._sweeper is None and self._is_full():
                self._sweep_later(loop)
            return await future
        finally:
            self._pending -= 1
            del future  # its exception refers to this frame, and the cycle would need the collector

    def readings(self) -> dict[str, int]:
        """How busy it is, and how many calls it has refused so far."""
        return {
            "threads": self._alive,
            "threads_busy": self._alive - len(self._idle),
            "waiting": len(self._jobs),
            "pending": self._pending,
            "capacity": self._capacity,
            "refusals_total": self._refusals,
        }

    def close(self) -> None:
        """End the threads, once they have run what is waiting."""
        self._end(self._alive)
        self._alive = 0
        while self._idle:
            self._wake()

    def _admit(self, origin: str) -> None:
        """Raises `Unavailable` when there is no room for one more."""
        if self._pending >= self._capacity:
            raise self._refusal("Too many requests are being answered.")

    def _end(self, threads: int) -> None:
        self._jobs.extend([None] * threads)

    def _is_full(self) -> bool:
        return self._alive == self._threads and not self._idle

    def _wake(self) -> None:
        """Put one more thread to work, if there is one."""
        if self._idle:
            with suppress(IndexError):  # it has found something to do by itself
                self._idle.pop().release()
        elif self._alive < self._threads:
            name = f"{self._name}-{self._alive}"
            self._alive += 1
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watch = loop.call_later(self._patience, self._look, loop, self._jobs_started)

    def _look(self, loop: asyncio.AbstractEventLoop, taken: int) -> None:
        self._watch = None
        self._fetch()
        if self._jobs:
            if self._jobs_started == taken and len(self._large) < MAX_LARGE_OUTCOMES:
                self._wake()
            if self._sweeper is None and self._is_full():
                self._sweep_later(loop)
            self._look_later(loop)

    def _sweep_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweeper = loop.call_later(QUEUE_CHECK_SECONDS, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Refuse what has waited too long, as the threads would if they were not all stuck."""
        self._sweeper = None
        for job in self._overdue_jobs(time.monotonic() - QUEUE_TIMEOUT_SECONDS):
            if not job[1].done():
                job[1].set_exception(self._overdue())
        if self._jobs:
            self._sweep_later(loop)

    def _overdue_jobs(self, before: float) -> Iterator[Job]:
        """Remove the jobs that have waited since before then."""
        with suppress(IndexError):  # nothing waits any more
            while True:
                job = self._jobs.popleft()
                if job is None or job[2] >= before:
                    self._jobs.appendleft(job)
                    self._wake()  # a thread that looked in between
                    return
                yield job

    def _work(self) -> None:
        if self._nice and sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._nice)
        called = threading.Lock()
        called.acquire()
        must_rest = False
        while True:
            job = self._next(called, must_rest)
            if job is None:
                return
            loop, future, since, function, arguments, _ = job
            try:
                if time.monotonic() - since > QUEUE_TIMEOUT_SECONDS:
                    raise self._overdue()
                outcome: Any = (future, future.set_result, function(*arguments))
            except StopIteration:  # which a future refuses to carry
                outcome = (future, future.set_exception, RuntimeError("StopIteration"))
            except BaseException as error:
                outcome = (future, future.set_exception, error)
            is_large = self._hand_back(loop, outcome)
            must_rest = is_large and self._alive - len(self._idle) > MAX_THREADS_AFTER_LARGE
            del job, future, function, arguments, outcome  # not kept alive while waiting

    def _next(self, called: threading.Lock, must_rest: bool) -> Any:
        while True:
            if self._jobs and not must_rest and len(self._large) < MAX_LARGE_OUTCOMES:
                try:
                    job = self._jobs.popleft()
                except IndexError:  # another thread was quicker
                    continue
                self._jobs_started += 1
                return job
            self._idle.append(called)
            if self._jobs and not must_rest and len(self._large) < MAX_LARGE_OUTCOMES:
                # The call arrived just before, when this thread still looked busy.
                with suppress(ValueError):  # woken already
                    self._idle.remove(called)
                    continue
            called.acquire()
            must_rest = False

    def _hand_back(self, loop: asyncio.AbstractEventLoop, outcome: Any) -> bool:
        is_large = self._size(outcome[2]) >= LARGE_OUTCOME_BYTES
        if is_large:
            self._large.append(None)
        self._outcomes.append((*outcome, is_large))
        # With more to do at once, the loop is left alone until it looks: the two would only take
        # the interpreter from each other.
        if not self._fetch_is_scheduled and (is_large or not (self._patience and self._jobs)):
            self._fetch_is_scheduled = True
            with suppress(RuntimeError):  # the loop is closed: the server has gone
                loop.call_soon_threadsafe(self._fetch)
        return is_large

    def _fetch(self) -> None:
        self._fetch_is_scheduled = False  # first: what is handed back from here on calls again
        while self._outcomes:
            future, tell, outcome, is_large = self._outcomes.popleft()
            if not future.done():
                tell(outcome)
            if is_large:
                self._large.pop()
                if self._alive - len(self._idle) < MAX_THREADS_AFTER_LARGE:
                    self._wake()

    def _overdue(self) -> Unavailable:
        return self._refusal("The request waited too long for its turn.")

    def _refusal(self, why: str) -> Unavailable:
        self._refusals += 1
        return Unavailable(why)
