"""`GreenletPool` runs jobs on the event loop: they give way while they wait."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest

from service.engine.problems import Unavailable
from service.engine.work import greenlets
from service.engine.work.greenlets import GreenletPool, aside, is_here, wait_for
from service.engine.work.threads import Pool

LONG_SECONDS = 60


def pool(greenlets: int = 2, capacity: int = 100) -> GreenletPool:
    return GreenletPool(greenlets, capacity, Pool("aside", 2, 100))


async def full() -> tuple[GreenletPool, asyncio.Event, asyncio.Task[bool], asyncio.Task[int]]:
    """A pool of one place, what the job in it waits for, that job, and one that has no place."""
    own, free = pool(1), asyncio.Event()
    first = asyncio.create_task(own.run(wait_for, free.wait()))
    await asyncio.sleep(0)
    second = asyncio.create_task(own.run(int))
    await asyncio.sleep(0)
    return own, free, first, second


def run(
    test: Callable[[], Awaitable[Any]],
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> Any:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(asyncio.wait_for(test(), LONG_SECONDS))


def test_a_job_returns_the_result_of_the_function() -> None:
    assert run(lambda: pool().run(divmod, 7, 2)) == (3, 1)


def test_a_job_runs_in_the_thread_of_the_loop() -> None:
    async def test() -> None:
        assert await pool().run(threading.get_ident) == threading.get_ident()
        assert await pool().run(is_here)
        assert not is_here()

    run(test)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(
    ("raised", "arrives"),
    [(KeyError, KeyError), (Unavailable, Unavailable), (StopIteration, RuntimeError)],
)
def test_a_job_raises_what_the_function_raises(
    raised: type[BaseException], arrives: type[BaseException], waits: bool
) -> None:
    def fail() -> None:
        if waits:
            wait_for(asyncio.sleep(0))
        raise raised

    async def test() -> None:
        own = pool(1)
        for _ in range(3):  # more often than there are greenlets
            with pytest.raises(arrives):
                await own.run(fail)
        assert await own.run(int) == 0

    run(test)


def test_jobs_give_way_to_each_other_and_to_the_loop_while_they_wait() -> None:
    async def test() -> None:
        own, first, second = pool(), asyncio.Event(), asyncio.Event()

        def begin() -> str:
            first.set()
            wait_for(second.wait())
            return "begun"

        def end() -> str:
            wait_for(first.wait())
            second.set()
            return "ended"

        assert await asyncio.gather(own.run(begin), own.run(end)) == ["begun", "ended"]

    run(test)


def test_a_job_beyond_the_capacity_is_refused_until_there_is_room() -> None:
    async def test() -> None:
        own, free = pool(1, 2), asyncio.Event()
        taken = [asyncio.create_task(own.run(wait_for, free.wait())) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await own.run(int)
        assert own.readings()["refusals_total"] == 1
        free.set()
        assert await asyncio.gather(*taken) == [True, True]
        assert await own.run(int) == 0
        assert own.readings()["pending"] == 0

    run(test)


def test_a_job_is_refused_in_time_although_all_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greenlets, "QUEUE_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(greenlets, "QUEUE_CHECK_SECONDS", 0.01)

    async def test() -> None:
        own, free = pool(2), asyncio.Event()
        stuck = [asyncio.ensure_future(own.run(wait_for, free.wait())) for _ in range(2)]
        await asyncio.sleep(0)
        late = await asyncio.gather(*(own.run(int) for _ in range(20)), return_exceptions=True)
        assert {type(outcome) for outcome in late} == {Unavailable}
        free.set()
        assert await asyncio.gather(*stuck) == [True, True]
        assert await asyncio.gather(*(own.run(abs, -n) for n in range(20))) == [*range(20)]

    run(test)


def test_a_job_whose_client_has_gone_runs_to_its_end_and_then_leaves_its_place() -> None:
    async def test() -> None:
        own, free, done = pool(1), asyncio.Event(), asyncio.Event()

        def work() -> None:
            wait_for(free.wait())
            done.set()

        gone = asyncio.create_task(own.run(work))
        await asyncio.sleep(0)
        gone.cancel()
        next_one = asyncio.create_task(own.run(int))
        await asyncio.sleep(0.01)
        assert not next_one.done()
        free.set()
        await done.wait()
        assert await next_one == 0

    run(test)


@pytest.mark.parametrize("steps", range(4))
def test_a_client_that_goes_while_its_job_waits_for_a_place_costs_none(steps: int) -> None:
    async def test() -> None:
        own, free, first, gone = await full()
        free.set()
        for _ in range(steps):  # until it has been left a place, and beyond
            await asyncio.sleep(0)
        gone.cancel()
        assert await first
        assert await asyncio.gather(*(own.run(abs, -n) for n in range(3))) == [0, 1, 2]

    run(test)


def test_a_client_that_goes_just_as_its_job_is_refused_leaves_no_place_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(greenlets, "QUEUE_TIMEOUT_SECONDS", -1)

    async def test() -> None:
        own, free, first, gone = await full()
        own._sweep(asyncio.get_running_loop())
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        free.set()
        await first
        assert own.readings()["threads_busy"] == 0

    run(test)


def test_a_job_that_waits_keeps_no_other_job_alive() -> None:
    own_context: ContextVar[object] = ContextVar("own_context")
    kept: list[weakref.ref[Any]] = []

    def work(awaitable: Awaitable[Any]) -> None:
        large = _Large()
        kept.append(weakref.ref(large))
        token = own_context.set(large)
        wait_for(awaitable)
        own_context.reset(token)

    async def test() -> None:
        later: list[asyncio.TimerHandle] = []

        async def open_something() -> None:  # as a connection registers with the loop
            later.append(asyncio.get_running_loop().call_later(LONG_SECONDS, int))

        await pool().run(work, open_something())
        assert kept[0]() is None
        later[0].cancel()

    run(test)


class _Large:
    """Stands for what takes much room."""


@pytest.mark.parametrize("ends", ["returned", "raised", "taken"])
@pytest.mark.parametrize("waits", [False, True])
def test_an_idle_greenlet_keeps_no_reference_to_its_last_job(ends: str, waits: bool) -> None:
    large: list[weakref.ref[Any]] = []

    def work(given: Any) -> Any:
        made = _Large()
        large.extend(map(weakref.ref, (given, made)))
        if waits:
            wait_for(asyncio.sleep(0))
        if ends == "raised":
            raise ValueError(made)
        return made if ends == "returned" else None

    async def test() -> None:
        with suppress(ValueError):
            await pool().run(work, _Large())
        deadline = time.monotonic() + LONG_SECONDS
        while any(reference() for reference in large):
            assert time.monotonic() < deadline
            await asyncio.sleep(0)

    run(test)
    assert len(large) == 2


def test_each_job_has_its_own_context() -> None:
    name: ContextVar[str] = ContextVar("name")

    async def test() -> None:
        own, both = pool(), asyncio.Barrier(2)

        def work(mine: str) -> str:
            token = name.set(mine)
            wait_for(both.wait())
            try:
                return name.get()
            finally:
                name.reset(token)

        for _ in range(2):
            assert await asyncio.gather(own.run(work, "a"), own.run(work, "b")) == ["a", "b"]

    run(test)


def test_what_is_put_aside_runs_in_a_thread_and_only_there() -> None:
    async def test() -> None:
        names = await pool().run(lambda: [aside(lambda: threading.current_thread().name)])
        assert names == ["aside-0"]
        with pytest.raises(ZeroDivisionError):
            await pool().run(lambda: aside(divmod, 1, 0))

    run(test)
    assert aside(threading.get_ident) == threading.get_ident()


def test_a_pool_works_under_one_loop_after_the_other() -> None:
    own = pool()
    for _ in range(2):
        assert run(lambda: own.run(lambda: wait_for(asyncio.sleep(0, 1)))) == 1
