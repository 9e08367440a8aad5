"""Jobs on the event loop with deep and varied stacks, each of which opens and closes a socket."""

from __future__ import annotations

import asyncio
import functools
import random
import re
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvloop

from service.engine.work.greenlets import GreenletPool
from service.engine.work.sockets import Socket
from service.engine.work.threads import Pool

ROUNDS = 10
JOBS = 50  # at a time
MAX_DEPTH = 40  # calls, up to some 20 KiB of the C stack


class _Calls:
    def __init__(self, function: Callable[[], Any]) -> None:
        self.result = function()


# Each calls a function from C, with a frame of another size.
CALLERS: list[Callable[[Callable[[], Any]], Any]] = [
    _Calls,
    lambda function: functools.partial(function)(),
    lambda function: functools.reduce(lambda *_: function(), "ab"),
    lambda function: max("a", key=lambda _: str(function())),
    lambda function: re.sub("a", lambda _: str(function()), "a"),
    lambda function: sorted("a", key=lambda _: str(function())),
]


def deep(drawn: random.Random, function: Callable[[], Any]) -> None:
    """Call a function, somewhere down the stack."""
    for _ in range(drawn.randrange(MAX_DEPTH)):
        function = functools.partial(drawn.choice(CALLERS), function)
    function()


def job(drawn: random.Random) -> None:
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        one = Socket(here.fileno())

        def wait() -> None:
            one.wait(None, writes=False)
            deep(drawn, one.close)

        there.send(b"x")
        deep(drawn, wait)


async def main(seed: int) -> None:
    drawn = random.Random(seed)
    pool = GreenletPool(JOBS, JOBS, Pool("aside", 1, 1))
    for _ in range(ROUNDS):
        await asyncio.gather(*(pool.run(job, drawn) for _ in range(JOBS)))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
