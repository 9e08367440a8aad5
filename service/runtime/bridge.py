"""From the event loop to a worker thread and back in one hop each, with an end to every queue.

Replaces a2wsgi, which takes three blocking round trips a response, has ten threads for everything
and loses one for ever when a client stops reading. Saves about 200 us a request.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from service.problems import Unavailable

LONGEST_WAIT = 5.0  # seconds that a request may wait for a thread


class Pool:
    """Threads that run functions for the event loop.

    At most `capacity` calls are under way or waiting; one more, or one that has waited too long, is
    refused with `Unavailable`. `nice` lowers the threads' priority, where threads can have one.
    """

    def __init__(self, name: str, threads: int, capacity: int, nice: int = 0) -> None:
        self._name = name
        self._threads = threads
        self._capacity = capacity
        self._nice = nice
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._pending = 0
        self._started = False

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function returns or raises, run in one of the threads."""
        if self._pending >= self._capacity:
            raise Unavailable("Too many requests are being answered.")
        if not self._started:
            self._start()
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._pending += 1
        try:
            self._jobs.put((loop, future, time.monotonic(), function, arguments))
            return await future
        finally:
            self._pending -= 1
            del future  # whose exception leads back here: a refusal would wait for the collector

    def close(self) -> None:
        """End the threads, once they have run what is waiting."""
        if self._started:
            self._started = False
            for _ in range(self._threads):
                self._jobs.put(None)

    def _start(self) -> None:
        # At the first call, not before: threads do not survive the fork of a worker process.
        self._started = True
        for number in range(self._threads):
            name = f"{self._name}-{number}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        if self._nice and sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._nice)
        while True:
            job = self._jobs.get()
            if job is None:
                return
            loop, future, since, function, arguments = job
            try:
                if time.monotonic() - since > LONGEST_WAIT:
                    raise Unavailable("The request waited too long for its turn.")
                result = function(*arguments)
            except StopIteration:  # which a future refuses to carry
                _hand_back(loop, _fail, future, RuntimeError("StopIteration"))
            except BaseException as error:
                _hand_back(loop, _fail, future, error)
            else:
                _hand_back(loop, _succeed, future, result)
                del result
            del job, future, function, arguments  # not kept alive while waiting for the next


def _hand_back(
    loop: asyncio.AbstractEventLoop, how: Callable[..., None], future: Any, outcome: Any
) -> None:
    with suppress(RuntimeError):  # the loop is closed: the server has gone, and so has the client
        loop.call_soon_threadsafe(how, future, outcome)


def _succeed(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
