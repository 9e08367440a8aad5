"""A job on the event loop waits for a socket, and the loop goes on."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import uvloop

from service.engine.work.greenlets import LOOK_SECONDS, is_here
from service.engine.work.sockets import Socket
from tests.runtime.test_greenlets import LONG_SECONDS, pool, run


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection, which do not block."""
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    yield ends
    for end in ends:
        end.close()


def test_a_job_waits_until_a_socket_has_data(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    one = Socket(here.fileno())

    def read() -> bytes:
        got = b""
        while len(got) < 3:
            assert one.wait(None, writes=False) == 1
            got += here.recv(1)
        return got

    async def test() -> None:
        reading = asyncio.create_task(pool().run(read))
        for byte in b"abc":
            await asyncio.sleep(0)
            there.send(bytes([byte]))
        assert await reading == b"abc"
        one.close()

    run(test)


def test_a_job_waits_until_a_socket_can_be_written(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    here, there = pair
    one = Socket(here.fileno())

    def fill() -> int:
        with suppress(BlockingIOError):
            while True:
                here.send(b"x" * 65536)
        return one.wait(None, writes=True)

    async def test() -> None:
        filling = asyncio.create_task(pool().run(fill))
        await asyncio.sleep(0.01)
        assert not filling.done()
        with suppress(BlockingIOError):
            while there.recv(65536):
                pass
        assert await filling == 2
        one.close()

    run(test)


def test_a_wait_ends_in_time(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    one = Socket(here.fileno())

    def wait(seconds: float) -> int:
        return one.wait(time.monotonic() + seconds, writes=False)

    async def test() -> None:
        own = pool()
        with pytest.raises(TimeoutError):
            await own.run(wait, 0.05)
        there.send(b"x")
        assert await own.run(wait, LONG_SECONDS) == 1
        one.close()

    run(test)


def test_a_socket_that_its_other_side_closes_has_news_and_does_not_keep_the_loop_busy(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    here, there = pair
    one = Socket(here.fileno())

    async def test() -> None:
        there.send(b"x")
        assert await pool().run(lambda: one.wait(None, writes=False)) == 1
        here.recv(1)
        assert not one.has_news
        there.close()
        deadline = time.monotonic() + LONG_SECONDS
        while not one.has_news:
            assert time.monotonic() < deadline
            await asyncio.sleep(0)
        assert not asyncio.get_running_loop().remove_reader(here.fileno())  # it is forgotten

    run(test)


@pytest.mark.parametrize("kind", [asyncio, uvloop])
def test_a_job_gets_what_came_before_a_reset_and_then_the_reset(kind: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = socket.create_connection(listener.getsockname())
        there, _ = listener.accept()
    here.setblocking(False)
    one = Socket(here.fileno())
    got = b""

    def read() -> None:
        nonlocal got
        while True:
            one.wait(time.monotonic() + 2 * LONG_SECONDS, writes=False)
            got += here.recv(1)

    async def test() -> None:
        reading = asyncio.create_task(pool().run(read))
        await asyncio.sleep(0)
        there.send(b"x" * 1000)  # more than it may have to wait for `look`
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        there.close()
        with pytest.raises(ConnectionResetError):
            await reading
        one.close()

    run(test, kind.new_event_loop)
    here.close()
    assert got == b"x" * 1000


@pytest.mark.parametrize("kind", [asyncio, uvloop])
def test_a_wait_is_not_late_if_only_the_loop_is(
    pair: tuple[socket.socket, socket.socket], kind: Any
) -> None:
    here, there = pair
    one = Socket(here.fileno())
    seconds = 0.05

    def hold_up() -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(there.fileno())
        there.send(b"x")
        time.sleep(seconds + LOOK_SECONDS)  # the loop stands still: that is what is tried

    async def test() -> None:
        waiting = asyncio.create_task(
            pool().run(lambda: one.wait(time.monotonic() + seconds, writes=False))
        )
        await asyncio.sleep(0)
        asyncio.get_running_loop().add_reader(there.fileno(), hold_up)
        here.send(b"x")
        assert await waiting == 1
        one.close()

    run(test, kind.new_event_loop)


@pytest.mark.parametrize("seed", range(3))
def test_jobs_with_any_stack_open_and_close_sockets_without_a_crash(seed: int) -> None:
    subprocess.run([sys.executable, "-m", "tests.kit.stacks", str(seed)], check=True)


def test_the_loop_itself_is_told_which_sockets_to_watch(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    here, there = pair
    one = Socket(here.fileno())

    def read() -> None:
        with suppress(BlockingIOError):
            while True:
                here.send(b"x" * 65536)
        assert one.wait(None, writes=True) == 1
        one.close()

    async def test() -> None:
        there.send(b"x")
        await pool().run(read)
        assert told == ["add_reader", "add_writer", "remove_writer", "remove_reader"]

    told: list[str] = []

    def loop() -> asyncio.AbstractEventLoop:
        new = asyncio.new_event_loop()
        for name in ("add_reader", "add_writer", "remove_writer", "remove_reader"):
            setattr(new, name, partial(tell, name, getattr(new, name)))
        return new

    def tell(name: str, function: Callable[..., Any], fileno: int, *arguments: Any) -> Any:
        if fileno == here.fileno():
            assert not is_here()
            told.append(name)
        return function(fileno, *arguments)

    run(test, loop)


@pytest.mark.parametrize("writes", [False, True])
def test_a_job_is_told_that_a_socket_cannot_be_watched(writes: bool) -> None:
    one = Socket(-1)

    async def test() -> None:
        own = pool(1)
        with pytest.raises(ValueError, match="Invalid file descriptor"):
            await own.run(lambda: one.wait(None, writes=writes))
        assert await own.run(int) == 0

    run(test)
