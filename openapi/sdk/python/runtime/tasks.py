"""Performs steps by awaiting, in tasks of asyncio."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from inspect import isawaitable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import httpx

from .steps import Lock, Read, Run, Send, Step, Steps, Wait

T = TypeVar("T")


class Tasks:
    """Any number of tasks may use it at the same time, and several event loops."""

    def __init__(
        self, http: httpx.AsyncClient | None, timeout: httpx.Timeout | float | None
    ) -> None:
        self._given = http
        self._timeout = timeout
        # Connections and locks belong to an event loop: `asyncio.run` makes a new one each time.
        self._places: WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, asyncio.Lock]
        ] = WeakKeyDictionary()

    async def perform(self, steps: Steps[T]) -> T:
        """The result of the steps. A task that is cancelled lets them clean up."""
        try:
            step = next(steps)
            while True:
                try:
                    result = await self._result(step)
                except BaseException as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            value: T = end.value
            return value

    async def close(self) -> None:
        """Close the connections, unless they are of an `httpx.AsyncClient` that was given."""
        place = self._places.get(asyncio.get_running_loop())
        if place is not None and self._given is None:
            await place[0].aclose()

    def _place(self) -> tuple[httpx.AsyncClient, asyncio.Lock]:
        loop = asyncio.get_running_loop()
        place = self._places.get(loop)
        if place is None:
            http = self._given or httpx.AsyncClient(timeout=self._timeout)
            place = self._places[loop] = (http, asyncio.Lock())
        return place

    async def _result(self, step: Step) -> Any:
        http, lock = self._place()
        match step:
            case Send():
                request = http.build_request(timeout=self._timeout, **step.arguments)
                return await http.send(request, stream=step.stream, follow_redirects=False)
            case Read():
                async with aclosing(step.answer):
                    return await step.answer.aread()
            case Wait():
                return await asyncio.sleep(step.seconds)
            case Lock():
                await lock.acquire()
                return lock
            case Run():
                result = step.function(*step.arguments)
                return await result if isawaitable(result) else result
