"""`send_stream`: which messages it sends to the server and when, and that it leaves no task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.engine.request import Request, Stream, send_stream

Message = tuple[str, bytes | None, bool]

HEAD: Message = ("http.response.start", None, False)
END: Message = ("http.response.body", b"", False)


def part(chunk: bytes) -> Message:
    return ("http.response.body", chunk, True)


def parts(chunks: list[bytes]) -> list[Message]:
    """The chunks, and after each what waits until the client has taken it."""
    return [message for chunk in chunks for message in (part(chunk), part(b""))]


class Client:
    """The other side, which takes so many messages and then no more until it has `gone`."""

    def __init__(self, *chunks: bytes | Exception, takes: int = 99) -> None:
        self._chunks = iter(chunks)
        self._takes = takes
        self.made = 0
        self.sent: list[Message] = []
        self.stuck = asyncio.Event()
        self.gone = asyncio.Event()
        self._events = [{"type": "http.request", "body": b"x", "more_body": b} for b in (0, 1, 1)]

    async def receive(self) -> dict[str, Any]:
        if self._events:
            return self._events.pop()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if len(self.sent) == self._takes:
            self.stuck.set()
            await self.gone.wait()
        self.sent.append((message["type"], message.get("body"), message.get("more_body", False)))

    async def make(self) -> bytes:
        self.made += 1
        await asyncio.sleep(0)
        chunk = next(self._chunks, b"")
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    async def served(self) -> None:
        await send_stream(self.send, self.receive, Stream(200, [], self.make))


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test in a loop of its own, in which no task may stay."""

    async def alone() -> None:
        async with asyncio.timeout(60):
            await test()
        for _ in range(3):
            await asyncio.sleep(0)  # a cancelled task ends in the next round
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(alone())


@pytest.mark.parametrize("chunks", [[], [b"a"], [b"a", b"b", b"c"]])
def test_a_streamed_answer_is_a_head_its_chunks_and_an_end(chunks: list[bytes]) -> None:
    async def test() -> None:
        client = Client(*chunks)
        await client.served()
        assert client.sent == [HEAD, *parts(chunks), END]

    run(test)


@pytest.mark.parametrize("chunks", [[], [b"a"], [b"a", b"b"]])
def test_an_exception_reaches_the_caller_without_a_final_message(chunks: list[bytes]) -> None:
    async def test() -> None:
        client = Client(*chunks, KeyError("what"))
        with pytest.raises(KeyError, match="what"):
            await client.served()
        # Nothing at all when it is the first: then there is still room for another answer.
        assert client.sent == ([HEAD, *parts(chunks)] if chunks else [])

    run(test)


@pytest.mark.parametrize(("takes", "made"), [(0, 1), (1, 1), (2, 1), (3, 2), (6, 3)])
def test_no_chunk_is_made_before_the_client_has_taken_the_last(takes: int, made: int) -> None:
    async def test() -> None:
        client = Client(*[b"x"] * 99, takes=takes)
        serving = asyncio.ensure_future(client.served())
        await client.stuck.wait()
        assert client.made == made
        client.gone.set()
        await serving
        assert client.made <= made + 1  # and after the client has gone, hardly one
        assert END not in client.sent

    run(test)


@pytest.mark.parametrize("takes", [0, 3, 4])
def test_a_cancelled_request_leaves_no_task(takes: int) -> None:
    async def test() -> None:
        client = Client(*[b"x"] * 99, takes=takes)
        serving = asyncio.ensure_future(client.served())
        await client.stuck.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert END not in client.sent

    run(test)


def test_a_client_without_a_peer_address_has_no_address() -> None:
    scope = {"method": "GET", "path": "/", "query_string": b"", "headers": [], "client": None}
    assert Request(scope).client.ip == ""
