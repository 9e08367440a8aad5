"""Runs functions in threads for the event loop: one hop each way, and a limit to every queue.

Replaces a2wsgi, which takes three blocking round trips a response, has ten threads for everything
and loses one for ever when a client stops reading. Saves about 200 us a request.

A job:
    run() --full--> refused              at once, on the loop
      |
      v
    QUEUED --too long--> refused         by _sweep on the loop, or by the thread that takes it
      |    --no thread-> refused         by _wake, if none is alive and none can be started
      v
    RUNNING                              in one thread; nobody can interrupt it
      |
      v
    OUTCOME --> settled                  by _fetch on the loop, unless the client has gone

A thread:
    started --> LOOKING --no job, or must rest---> IDLE
                | ^ | ^                             |
                | | | +--_wake() releases its lock--+
                | | |
                | | +--takes None, from close()--> ended
    takes a job | | outcome appended; the loop is asked to fetch it, unless it has been asked
                v | already or its next check will do so
              RUNNING

    field                      who changes it
    _jobs                      the loop appends; threads, and _sweep on the loop, take
    _idle                      a thread appends its lock; the loop, or that thread, removes it
    _outcomes, _large          threads append; the loop takes
    _fetch_is_scheduled        threads set it; _fetch clears it before it takes anything, or an
                               outcome appended in between would wait for the next one
    _jobs_started, _refusals   threads too; an increment that is lost does no harm
    all others                 the loop alone

There is no lock around these: apart from the increments, each step is one atomic operation. Hence
the double checks. A thread that has gone IDLE looks again: a job may have come just before, or the
others may be going to rest as well. An IndexError means that another thread was quicker.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from service.engine.problems import Unavailable
from service.engine.work.priority import lower_priority

QUEUE_TIMEOUT_SECONDS = 5.0  # a request waits this long for a thread, then the answer is 503
LARGE_OUTCOME_BYTES = 64 * 1024  # an outcome from this size on counts against MAX_LARGE_OUTCOMES
MAX_LARGE_OUTCOMES = 4  # while the loop has this many of one pool to fetch, no job starts
MAX_THREADS_AFTER_LARGE = 2  # if more are busy, a thread rests after a large outcome
QUEUE_CHECK_SECONDS = 0.5  # between two looks for requests that have waited too long
_TOO_LONG = "The request waited too long for its turn."
logger = logging.getLogger(__name__)


class Job(NamedTuple):
    """A function that waits for a thread. `origin` is the address of the client it runs for."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    since: float
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    origin: str


class Pool:
    """Threads that run functions for the event loop.

    At most `capacity` jobs run or wait; one more, or one that has waited too long, is refused with
    `Unavailable`. `nice` lowers the threads' priority, where threads can have one.

    `wake_after` is for functions that mostly compute, where another thread would only compete for
    the interpreter: it is woken if no waiting job was started for so many seconds, times the number
    of busy threads. An outcome may wait `wake_after` to be fetched. With 0, each job wakes one.

    `size` gives the bytes of an outcome. After a large one a thread rests if more than
    MAX_THREADS_AFTER_LARGE are busy, and none starts a job while the loop has MAX_LARGE_OUTCOMES
    to fetch: they make answers faster than the loop sends them, which would fill the memory.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        capacity: int,
        *,
        nice: int = 0,
        wake_after: float = 0,
        size: Callable[[Any], int] = lambda _: 0,
    ) -> None:
        self._name = name
        self._threads = threads
        self._capacity = capacity
        self._nice = nice
        self._wake_after = wake_after
        self._size = size
        self._large: deque[None] = deque()  # its length counts the large outcomes, without a lock
        self._jobs: deque[Any] = deque()  # Jobs as tuples, for quick creation; None ends a thread
        self._jobs_started = 0  # unchanged at the next check: every thread has a long job
        self._idle: list[threading.Lock] = []  # a lock per idle thread; the last is woken first
        self._outcomes: deque[tuple[Any, Callable[[Any], None], Any, bool]] = deque()
        self._fetch_is_scheduled = False
        self._check_timer: asyncio.TimerHandle | None = None
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._pending = 0
        self._refusals = 0
        self._alive = 0  # threads; started on demand, because a fork would lose them

    async def run(self, function: Callable[..., Any], *arguments: Any, origin: str = "") -> Any:
        """What the function returns or raises, run in a thread for the client at `origin`."""
        self._admit(origin)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._pending += 1
        try:
            self._jobs.append((loop, future, time.monotonic(), function, arguments, origin))
            if not self._wake_after or len(self._idle) == self._alive:
                self._wake()
            elif self._check_timer is None:
                self._schedule_check(loop)
            if self._sweep_timer is None and self._is_full():
                self._schedule_sweep(loop)
            return await future
        finally:
            self._pending -= 1
            del future  # breaks a cycle: its exception refers to this frame

    @property
    def threads(self) -> Pool:
        return self  # the pool for long computations

    def readings(self) -> dict[str, int]:
        """For the metrics: how busy the pool is, and how many jobs it has refused."""
        return {
            "threads": self._alive,
            "threads_busy": self._alive - len(self._idle),
            "waiting": len(self._jobs),
            "pending": self._pending,
            "capacity": self._capacity,
            "refusals_total": self._refusals,
        }

    def close(self) -> None:
        """End the threads when they have run the waiting jobs."""
        self._end(self._alive)
        self._alive, self._sweep_timer = 0, None  # its loop may end before the timer does
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
        """Wake an idle thread, or start another one if there may be more."""
        if self._idle:
            with suppress(IndexError):  # the thread has just found a job by itself
                self._idle.pop().release()
        elif self._alive < self._threads and self._sweep_timer is None:
            name = f"{self._name}-{self._alive}"
            try:
                threading.Thread(target=self._work, name=name, daemon=True).start()
                self._alive += 1
            except RuntimeError as error:  # the system allows no more; _sweep tries again
                logger.warning("thread %s did not start: %s", name, error)
                if self._alive:  # they may all be stuck
                    self._schedule_sweep(asyncio.get_running_loop())
                else:
                    self._refuse(float("inf"), "There is no thread for the request.")

    def _schedule_check(self, loop: asyncio.AbstractEventLoop, stuck: int = 0) -> None:
        taken = self._jobs_started
        self._check_timer = loop.call_later(self._wake_after, self._check, loop, taken, stuck)

    def _check(self, loop: asyncio.AbstractEventLoop, taken: int, stuck: int) -> None:
        """`stuck` is the number of checks since a job was started or a thread woken."""
        self._check_timer = None
        self._fetch()
        if self._jobs:
            stuck = stuck + 1 if self._jobs_started == taken else 0
            is_due = stuck >= max(self._alive - len(self._idle), 1)
            if is_due and len(self._large) < MAX_LARGE_OUTCOMES:
                stuck = 0
                self._wake()
            if self._sweep_timer is None and self._is_full():
                self._schedule_sweep(loop)
            self._schedule_check(loop, stuck)

    def _schedule_sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweep_timer = loop.call_later(QUEUE_CHECK_SECONDS, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Refuse jobs that waited too long: the threads that would do so may all be stuck."""
        self._sweep_timer = None
        self._refuse(time.monotonic() - QUEUE_TIMEOUT_SECONDS, _TOO_LONG)
        if self._jobs:
            self._wake()  # a thread may have found nothing in between, and gone idle
            if self._sweep_timer is None:
                self._schedule_sweep(loop)

    def _refuse(self, before: float, why: str) -> None:
        for job in self._overdue_jobs(before):
            if not job[1].done():
                job[1].set_exception(self._refusal(why))

    def _overdue_jobs(self, before: float) -> Iterator[Job]:
        """Remove and return the jobs that were queued before this moment."""
        with suppress(IndexError):  # no job is left
            while True:
                job = self._jobs.popleft()
                if job is None or job[2] >= before:
                    self._jobs.appendleft(job)
                    return
                yield job

    def _work(self) -> None:
        lower_priority(self._nice)
        wake_up = threading.Lock()
        wake_up.acquire()
        must_rest = False
        while True:
            job = self._next(wake_up, must_rest)
            if job is None:
                return
            loop, future, since, function, arguments, _ = job
            try:
                if time.monotonic() - since > QUEUE_TIMEOUT_SECONDS:
                    raise self._refusal(_TOO_LONG)
                outcome: Any = (future, future.set_result, function(*arguments))
            except StopIteration:  # a future does not take it
                outcome = (future, future.set_exception, RuntimeError("StopIteration"))
            except BaseException as error:
                outcome = (future, future.set_exception, error)
            is_large = self._hand_back(loop, outcome)
            must_rest = is_large and self._alive - len(self._idle) > MAX_THREADS_AFTER_LARGE
            del job, future, function, arguments, outcome  # or an idle thread keeps them alive

    def _next(self, wake_up: threading.Lock, must_rest: bool) -> Any:
        while True:
            if self._jobs and not must_rest and len(self._large) < MAX_LARGE_OUTCOMES:
                try:
                    job = self._jobs.popleft()
                except IndexError:  # another thread was quicker
                    continue
                self._jobs_started += 1
                return job
            self._idle.append(wake_up)
            must_rest = must_rest and self._alive - len(self._idle) >= MAX_THREADS_AFTER_LARGE
            if self._jobs and not must_rest and len(self._large) < MAX_LARGE_OUTCOMES:
                # A job came just before, when this thread still looked busy, and woke nobody.
                with suppress(ValueError):  # the loop has already taken the lock, to wake it
                    self._idle.remove(wake_up)
                    continue
            wake_up.acquire()
            must_rest = False

    def _hand_back(self, loop: asyncio.AbstractEventLoop, outcome: Any) -> bool:
        is_large = self._size(outcome[2]) >= LARGE_OUTCOME_BYTES
        if is_large:
            self._large.append(None)
        self._outcomes.append((*outcome, is_large))
        # With `wake_after`, a small outcome is left to the loop's next check while jobs wait: woken
        # now, the loop would only compete with this thread for the interpreter.
        if not self._fetch_is_scheduled and (is_large or not (self._wake_after and self._jobs)):
            self._fetch_is_scheduled = True
            with suppress(RuntimeError):  # the loop is closed: the server has ended
                loop.call_soon_threadsafe(self._fetch)
        return is_large

    def _fetch(self) -> None:
        self._fetch_is_scheduled = False  # first, so that a later outcome schedules another fetch
        while self._outcomes:
            future, settle, outcome, is_large = self._outcomes.popleft()
            if not future.done():
                settle(outcome)
            if is_large:
                self._large.pop()
                if self._alive - len(self._idle) < MAX_THREADS_AFTER_LARGE:
                    self._wake()

    def _refusal(self, why: str) -> Unavailable:
        self._refusals += 1
        return Unavailable(why)
