"""Performs steps by blocking the thread."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing
from typing import Any, TypeVar

import httpx

from .steps import Lock, Read, Run, Send, Step, Steps, Wait

T = TypeVar("T")


class Threads:
    """Any number of threads may use it at the same time, and processes that are forked."""

    def __init__(self, http: httpx.Client | None, timeout: httpx.Timeout | float | None) -> None:
        self._given = http
        self._timeout = timeout
        # By process: connections are the parent's, and a lock may be held when it forks.
        self._places: dict[int, tuple[httpx.Client, threading.Lock]] = {}

    def perform(self, steps: Steps[T]) -> T:
        """The result of the steps."""
        try:
            step = next(steps)
            while True:
                try:
                    result = self._result(step)
                except BaseException as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            value: T = end.value
            return value

    def close(self) -> None:
        """Close the connections, unless they are of an `httpx.Client` that was given."""
        place = self._places.get(os.getpid())
        if place is not None and self._given is None:
            place[0].close()

    def _place(self) -> tuple[httpx.Client, threading.Lock]:
        place = self._places.get(os.getpid())
        if place is None:
            new = (self._given or httpx.Client(timeout=self._timeout), threading.Lock())
            place = self._places.setdefault(os.getpid(), new)  # atomic: all get the same one
        return place

    def _result(self, step: Step) -> Any:
        http, lock = self._place()
        match step:
            case Send():
                request = http.build_request(timeout=self._timeout, **step.arguments)
                return http.send(request, stream=step.stream, follow_redirects=False)
            case Read():
                with closing(step.answer):
                    return step.answer.read()
            case Wait():
                return time.sleep(step.seconds)  # what the service, or a backoff, asks for
            case Lock():
                lock.acquire()
                return lock
            case Run():
                return step.function(*step.arguments)
