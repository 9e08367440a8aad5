"""Turns in the hashing pool. A hash takes 20 ms of a core. A flood of requests, from one network or
from many, must not keep others from signing in."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from service.engine.http.networks import SITE, Size, is_local, network
from service.engine.work.threads import Job, Pool

MAX_WAITING_PER_SITE = 2  # jobs; one more is refused at once
PERIOD_SECONDS = 30.0  # the jobs of this period and the one before decide the order

_REGION = Size(16, 32)  # a provider's block: its networks that come once each may be one attacker's
_REGION_SHARE = 1 / 8  # how much of a job's cost counts against all networks of its region
_SUCCESS_WEIGHT = 0.25  # of a job that returned; one that raised weighs 1
_PROVEN_BONUS = 8.0  # taken off the weight of a network whose jobs have succeeded
_MAX_PROVEN_SITES = 10_000  # networks remembered as such


class FairPool(Pool):
    """A pool whose threads take the waiting job of the network that has cost least lately.

    A job that raises costs four times as much as one that returns, and a network with one that has
    returned has a head start of _PROVEN_BONUS: a flood of wrong passwords waits for honest clients.
    A site (IPv4 /24, IPv6 /56) has at most MAX_WAITING_PER_SITE jobs waiting, unless it is this
    machine, whose address all clients have behind a local proxy that TRUSTED_PROXIES does not name.
    When the pool is full, a new job evicts the one that would run last, if it would itself run
    earlier.
    """

    def __init__(self, name: str, threads: int, capacity: int, *, nice: int = 0) -> None:
        super().__init__(name, threads, capacity, nice=nice)
        self._jobs: Any = Turns()

    async def run(self, function: Callable[..., Any], *arguments: Any, origin: str = "") -> Any:
        outcome = await super().run(function, *arguments, origin=origin)
        self._jobs.credit(origin)
        return outcome

    def _admit(self, origin: str) -> None:
        """Make room for a job from this address; raises `Unavailable`."""
        if not is_local(origin) and self._jobs.waiting(origin) >= MAX_WAITING_PER_SITE:
            raise self._refusal("Too many requests from your network are waiting.")
        if self._pending < self._capacity:
            return
        evicted = self._jobs.evict(origin)
        if evicted is None:
            raise self._refusal("Too many requests are being answered.")
        if not evicted.future.done():
            evicted.future.set_exception(
                self._refusal("Other networks come first while the queue is full.")
            )

    def _end(self, threads: int) -> None:
        self._jobs.end(threads)

    def _overdue_jobs(self, before: float) -> Iterator[Job]:
        yield from self._jobs.remove_older(before)


class _Share(NamedTuple):
    """The networks that a job counts against."""

    site: str
    region: str


class Turns:
    """The waiting jobs in the order of their turns, with the deque methods that `Pool` calls.

    The loop appends and evicts, threads take: all methods but `end` and `__len__` hold the lock.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: list[tuple[Job, _Share]] = []
        self._closing = 0  # threads still to be told to end
        self._period = 0.0
        self._lately: defaultdict[str, float] = defaultdict(float)
        self._before: defaultdict[str, float] = defaultdict(float)
        self._proven: dict[str, None] = {}  # the sites, in the order of their last success

    def __len__(self) -> int:
        return len(self._jobs) + self._closing

    def append(self, job: Any) -> None:
        """Have a job wait: the fields of a `Job`."""
        with self._lock:
            self._jobs.append((Job(*job), _share(job[-1])))

    def end(self, threads: int) -> None:
        """Once all jobs are taken, give None to this many threads, which ends them."""
        self._closing += threads  # no lock: called once, and threads change it only afterwards

    def popleft(self) -> Job | None:
        """The next job; raises IndexError when there is none."""
        with self._lock:
            if not self._jobs:
                if not self._closing:
                    raise IndexError
                self._closing -= 1
                return None
            self._turn_over()
            weights = self._weights()
            job, share = self._jobs.pop(weights.index(min(weights)))
            for name in share:
                self._lately[name] += 1
            return job

    def credit(self, origin: str) -> None:
        """Note that a job for this address has returned: it costs less, and its site is proven."""
        with self._lock:
            share = _share(origin)
            for name in share:
                self._lately[name] += _SUCCESS_WEIGHT - 1
            self._proven.pop(share.site, None)
            self._proven[share.site] = None
            if len(self._proven) > _MAX_PROVEN_SITES:
                del self._proven[next(iter(self._proven))]

    def waiting(self, origin: str) -> int:
        """How many jobs of the site of this address wait."""
        site = network(origin, SITE)
        with self._lock:
            return sum(share.site == site for _, share in self._jobs)

    def evict(self, origin: str) -> Job | None:
        """Remove the job whose turn is last, if a job from this address would come before it."""
        with self._lock:
            if not self._jobs:
                return None
            self._turn_over()
            *weights, newcomer = self._weights(_share(origin))
            heaviest = max(weights)
            if heaviest <= newcomer:
                return None
            last = len(weights) - 1 - weights[::-1].index(heaviest)
            return self._jobs.pop(last)[0]

    def remove_older(self, before: float) -> list[Job]:
        """Remove and return the jobs that were queued before this moment."""
        with self._lock:
            overdue = [job for job, _ in self._jobs if job.since < before]
            self._jobs = [(job, share) for job, share in self._jobs if job.since >= before]
        return overdue

    def _weights(self, *newcomers: _Share) -> list[float]:
        """The weight of each job, then of the newcomers; the lightest is next.

        A weight is what the job's networks have cost lately, plus what the jobs before it will
        cost them, less the bonus of a proven site.
        """
        ahead: Counter[str] = Counter()
        weights = []
        for share in (*(share for _, share in self._jobs), *newcomers):
            site, region = (
                self._lately.get(name, 0) + self._before.get(name, 0) + ahead[name]
                for name in share
            )
            bonus = _PROVEN_BONUS if share.site in self._proven else 0
            weights.append(site + region * _REGION_SHARE - bonus)
            ahead.update(share)
        return weights

    def _turn_over(self) -> None:
        period = time.monotonic() // PERIOD_SECONDS
        if period != self._period:
            self._before = self._lately if period == self._period + 1 else defaultdict(float)
            self._lately = defaultdict(float)
            self._period = period


def _share(origin: str) -> _Share:
    return _Share(network(origin, SITE), network(origin, _REGION))
