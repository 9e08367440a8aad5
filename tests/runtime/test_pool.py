"""`Pool` runs calls in threads: it returns their outcomes, and refuses calls beyond capacity."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from contextlib import suppress
from typing import Any

import pytest

from service.engine.problems import Unavailable
from service.engine.work import threads as bridge
from service.engine.work.threads import Pool


def test_a_call_returns_the_result_of_the_function() -> None:
    assert asyncio.run(Pool("test", 1, 1).run(divmod, 7, 2)) == (3, 1)


@pytest.mark.parametrize(
    ("raised", "arrives"),
    [(KeyError, KeyError), (Unavailable, Unavailable), (StopIteration, RuntimeError)],
)
def test_a_call_raises_what_the_function_raises(
    raised: type[BaseException], arrives: type[BaseException]
) -> None:
    def fail() -> None:
        raise raised

    async def call() -> Any:
        with pytest.raises(arrives):
            await asyncio.wait_for(Pool("test", 1, 1).run(fail), 30)

    asyncio.run(call())


class _Large:
    """Stands for what takes much room."""


@pytest.mark.parametrize("ends", ["returned", "raised", "taken"])
def test_an_idle_thread_keeps_no_reference_to_its_last_call(ends: str) -> None:
    large: list[weakref.ref[Any]] = []

    def work(given: Any) -> Any:
        made = _Large()
        large.extend(map(weakref.ref, (given, made)))
        if ends == "raised":
            raise ValueError(made)
        return made if ends == "returned" else None

    async def call() -> None:
        pool = Pool("test", 1, 1)
        with suppress(ValueError):
            await pool.run(work, _Large())
        deadline = time.monotonic() + 30
        while any(reference() for reference in large):  # the thread has to come round first
            assert time.monotonic() < deadline
            await asyncio.sleep(0)

    asyncio.run(call())
    assert len(large) == 2


def test_a_call_beyond_the_capacity_is_refused_until_there_is_room() -> None:
    async def calls() -> None:
        pool, busy = Pool("test", 1, 2), threading.Event()
        taken = [asyncio.create_task(pool.run(busy.wait)) for _ in range(2)]
        await asyncio.sleep(0)  # let both take their places
        with pytest.raises(Unavailable):
            await pool.run(int)
        busy.set()
        assert await asyncio.gather(*taken) == [True, True]
        assert await pool.run(int) == 0

    asyncio.run(calls())


@pytest.mark.parametrize("wake_after", [0, 0.001])
def test_a_call_is_refused_in_time_although_all_threads_are_stuck(
    wake_after: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge, "QUEUE_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(bridge, "QUEUE_CHECK_SECONDS", 0.01)

    async def calls() -> None:
        pool, busy = Pool("stuck", 2, 100, wake_after=wake_after), threading.Event()
        stuck = [asyncio.ensure_future(pool.run(busy.wait)) for _ in range(2)]
        late = await asyncio.gather(*(pool.run(int) for _ in range(20)), return_exceptions=True)
        assert {type(outcome) for outcome in late} == {Unavailable}
        assert not any(call.done() for call in stuck)
        busy.set()
        assert await asyncio.gather(*stuck) == [True, True]
        assert await asyncio.gather(*(pool.run(abs, -n) for n in range(20))) == [*range(20)]

    asyncio.run(asyncio.wait_for(calls(), 30))


def test_a_closed_pool_runs_what_is_waiting_and_ends_its_threads() -> None:
    async def call() -> list[int]:
        pool = Pool("closing", 2, 8)
        calls = [asyncio.ensure_future(pool.run(abs, -number)) for number in range(8)]
        await asyncio.sleep(0)
        pool.close()
        return await asyncio.gather(*calls)

    assert asyncio.run(call()) == list(range(8))
    for thread in threading.enumerate():
        if thread.name.startswith("closing-"):
            thread.join(30)
            assert not thread.is_alive()


def test_short_calls_share_a_thread_while_others_would_contend() -> None:
    async def names() -> set[str]:
        pool = Pool("patient", 4, 200, wake_after=30)
        calls = [pool.run(lambda: threading.current_thread().name) for _ in range(100)]
        return set(await asyncio.gather(*calls))

    assert asyncio.run(names()) == {"patient-0"}


@pytest.mark.parametrize("wake_after", [0, 0.001])
def test_a_long_call_does_not_delay_others(wake_after: float) -> None:
    async def calls() -> None:
        pool, busy = Pool("held-up", 3, 10, wake_after=wake_after), threading.Event()
        long = [asyncio.ensure_future(pool.run(busy.wait)) for _ in range(2)]
        assert await asyncio.gather(*(pool.run(abs, -number) for number in range(6))) == [*range(6)]
        busy.set()
        assert await asyncio.gather(*long) == [True, True]

    asyncio.run(asyncio.wait_for(calls(), 30))


def test_the_more_threads_are_busy_the_longer_a_call_waits_for_another_one() -> None:
    async def calls() -> None:
        pool, busy = Pool("held-up", 4, 10, wake_after=0.05), threading.Barrier(5)
        began = time.monotonic()
        held = [asyncio.create_task(pool.run(busy.wait, 60)) for _ in range(4)]
        await asyncio.to_thread(busy.wait, 60)
        assert time.monotonic() - began >= 0.05 + 0.1 + 0.15
        await asyncio.gather(*held)

    asyncio.run(calls())


@pytest.mark.parametrize("wake_after", [0, 0.001])
def test_large_results_do_not_pile_up_while_the_loop_is_busy(wake_after: float) -> None:
    made: list[int] = []

    def make(number: int) -> bytes:
        made.append(number)
        return b"x" * bridge.LARGE_OUTCOME_BYTES

    async def calls() -> None:
        pool = Pool("large", 4, 200, wake_after=wake_after, size=len)
        running = asyncio.gather(*(pool.run(make, number) for number in range(100)))
        await asyncio.sleep(0)
        deadline = time.monotonic() + 0.3
        while time.monotonic() < deadline:  # the loop is busy
            assert len(made) <= bridge.MAX_LARGE_OUTCOMES + 4
        outcomes = await running
        assert len(outcomes) == len(made) == 100

    asyncio.run(asyncio.wait_for(calls(), 30))


def _wait(held: threading.Event) -> bytes:
    held.wait()
    return b""


def test_few_threads_produce_large_results_and_all_produce_small_ones() -> None:
    async def calls() -> None:
        pool, held = Pool("few", 8, 200, size=len), threading.Event()
        counts: list[int] = []

        def make() -> bytes:
            counts.append(pool.readings()["threads_busy"])
            return b"x" * bridge.LARGE_OUTCOME_BYTES

        await asyncio.gather(*(pool.run(make) for _ in range(100)))
        assert (
            sorted(counts[20:])[40] <= bridge.MAX_THREADS_AFTER_LARGE + 1
        )  # but for some that were woken
        stuck = [asyncio.ensure_future(pool.run(_wait, held)) for _ in range(7)]
        assert await pool.run(bytes) == b""
        held.set()
        await asyncio.gather(*stuck)

    asyncio.run(asyncio.wait_for(calls(), 30))


class _Held(list[Any]):
    """A list to which nothing is added before `may_add` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.may_add = threading.Event()

    def append(self, one: Any) -> None:
        self.may_add.wait(60)
        super().append(one)


def test_threads_that_go_to_rest_together_leave_one_to_the_call_that_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge, "QUEUE_CHECK_SECONDS", 1000)  # nothing else wakes them
    monkeypatch.setattr(bridge, "QUEUE_TIMEOUT_SECONDS", 1000)
    held = threading.Event()

    def make() -> bytes:
        held.wait(60)
        return b"x" * bridge.LARGE_OUTCOME_BYTES

    async def calls() -> None:
        pool = Pool("tired", bridge.MAX_THREADS_AFTER_LARGE + 1, 10, size=len)
        pool._idle = idle = _Held()
        large = [asyncio.ensure_future(pool.run(make)) for _ in range(pool._threads)]
        await asyncio.sleep(0)
        waiting = asyncio.ensure_future(pool.run(bytes))
        await asyncio.sleep(0)
        held.set()
        await asyncio.gather(*large)
        idle.may_add.set()
        assert await waiting == b""

    asyncio.run(asyncio.wait_for(calls(), 60))
