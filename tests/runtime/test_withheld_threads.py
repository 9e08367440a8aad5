"""A pool does what it can where the system withholds threads, or the right to set priorities."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from service.engine.problems import Unavailable
from service.engine.work import threads as bridge
from service.engine.work.fair_threads import FairPool
from service.engine.work.threads import Pool


def _nice_values() -> tuple[int, int]:
    """Of this thread, and of a thread of a pool that it uses."""

    def nice() -> int:
        return os.getpriority(os.PRIO_PROCESS, 0)

    call = asyncio.wait_for(Pool("nice", 1, 1, nice=10).run(nice), 60)
    return nice(), asyncio.run(call)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
@pytest.mark.parametrize("add", [0, 16])
def test_a_thread_never_asks_for_more_priority_than_the_process_has(add: int) -> None:
    with ThreadPoolExecutor(1) as another:  # stands for the process: it cannot take it back
        another.submit(os.nice, add).result()
        of_process, of_pool = another.submit(_nice_values).result()
    assert of_pool == max(of_process, 10)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_a_thread_runs_calls_although_it_may_not_change_its_priority(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", forbidden)
    of_process, of_pool = _nice_values()
    assert of_pool == of_process


@contextmanager
def _no_more_threads() -> Iterator[None]:
    """No thread can be started: the system has no room for its stack."""
    before = threading.stack_size(1 << 50)
    try:
        yield
    finally:
        threading.stack_size(before)


@pytest.mark.parametrize("kind", [Pool, FairPool])
def test_a_pool_without_a_thread_refuses_calls_only_while_none_can_be_started(
    kind: type[Pool],
) -> None:
    ran: list[str] = []

    async def calls() -> None:
        pool, both = kind("late", 2, 10), threading.Barrier(2)
        with _no_more_threads():
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await asyncio.wait_for(pool.run(ran.append, "refused"), 60)
        await asyncio.gather(*(pool.run(both.wait, 60) for _ in range(2)))
        assert pool.readings()["threads"] == 2

    asyncio.run(calls())
    assert not ran


def test_a_call_waits_for_the_threads_there_are_if_no_other_can_be_started(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def calls() -> None:
        pool, busy = Pool("lonely", 2, 10), threading.Event()
        first = asyncio.ensure_future(pool.run(busy.wait))
        await asyncio.sleep(0)  # a thread is started for it
        with _no_more_threads():
            second = asyncio.ensure_future(pool.run(abs, -1))
            await asyncio.sleep(0)
        assert pool.readings()["threads"] == 1
        busy.set()
        assert await asyncio.gather(first, second) == [True, 1]

    asyncio.run(asyncio.wait_for(calls(), 60))
    [line] = caplog.messages
    assert "lonely-1" in line


@pytest.mark.parametrize("wake_after", [0, 0.001])
def test_a_call_is_refused_in_time_if_the_threads_there_are_are_stuck(
    wake_after: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bridge, "QUEUE_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(bridge, "QUEUE_CHECK_SECONDS", 0.2)

    async def calls() -> None:
        pool, busy = Pool("stuck", 2, 10, wake_after=wake_after), threading.Event()
        stuck = asyncio.ensure_future(pool.run(busy.wait))
        await asyncio.sleep(0)
        with _no_more_threads(), pytest.raises(Unavailable):
            await pool.run(int)
        busy.set()
        assert await stuck

    asyncio.run(asyncio.wait_for(calls(), 60))
    assert 1 <= len(caplog.messages) <= 3  # one for each look at the queue


def test_a_thread_is_started_for_a_call_that_waits_once_the_system_allows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge, "QUEUE_TIMEOUT_SECONDS", 1000)
    monkeypatch.setattr(bridge, "QUEUE_CHECK_SECONDS", 0.01)

    async def calls() -> None:
        pool, busy = FairPool("later", 2, 10), threading.Event()
        stuck = asyncio.ensure_future(pool.run(busy.wait))
        await asyncio.sleep(0)
        with _no_more_threads():
            waiting = asyncio.ensure_future(pool.run(abs, -1))
            await asyncio.sleep(0)
        assert await waiting == 1
        busy.set()
        assert await stuck

    asyncio.run(asyncio.wait_for(calls(), 60))
