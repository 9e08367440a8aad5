"""What a call does is written once, as a generator of steps, and performed by threads or tasks.

A generator yields a step, and is sent its result or is thrown its error. `threads.py` performs
steps by blocking, `tasks.py` by awaiting.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import httpx

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request with the arguments of `httpx.Client.build_request`; the result is the
    answer, read to its end unless it is a stream."""

    arguments: dict[str, Any]
    stream: bool


@dataclass(frozen=True, slots=True)
class Read:
    """Read a streamed answer to its end, and close it."""

    answer: httpx.Response


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Lock:
    """Wait for the lock of the client; the result is a `Locked`."""


@dataclass(frozen=True, slots=True)
class Run:
    """Run a function of the user's, which may be a coroutine function where tasks run it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


class Locked(Protocol):
    def release(self) -> None: ...


Step: TypeAlias = Send | Read | Wait | Lock | Run
Steps: TypeAlias = Generator[Step, Any, T]


def run(function: Callable[..., Any], *arguments: Any) -> Steps[Any]:
    """The result of a function of the user's."""
    result = yield Run(function, arguments)
    return result
