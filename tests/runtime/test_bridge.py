"""The bridge gives back whatever comes of a call, and refuses what it cannot take."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from service.problems import Unavailable
from service.runtime.bridge import Pool


def test_a_call_gives_what_the_function_returns() -> None:
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


def test_a_call_beyond_the_capacity_is_refused_at_once_and_not_for_ever() -> None:
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
