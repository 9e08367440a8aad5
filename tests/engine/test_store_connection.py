"""The connection to the limits' store that all requests share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.exceptions import ResponseError

from service.engine.limits import connection as connections
from service.engine.limits.connection import Connection, Lost
from service.engine.limits.hits import Late, command
from service.engine.limits.server import Access
from tests.kit import valkey


@pytest.fixture(scope="module")
def port() -> int:
    return int(valkey.start().partition("://")[2].rpartition(":")[2].partition("/")[0])


def connected(port: int, work: Callable[[Connection], Awaitable[Any]]) -> Any:
    """What `work` returns for a connection."""

    async def run() -> Any:
        connection = await Access([]).connect(("127.0.0.1", port))
        try:
            return await work(connection)
        finally:
            connection.close()

    return asyncio.run(run())


def test_answers_belong_to_their_questions_although_some_askers_have_gone(port: int) -> None:
    async def work(connection: Connection) -> list[Any]:
        asked = [connection.ask(command("ECHO", word)) for word in "abcde"]
        asked[0].cancel()
        asked[3].cancel()
        return [await asked[place] for place in (4, 1, 2)]

    assert connected(port, work) == [b"e", b"b", b"c"]


def test_an_error_is_the_answer_of_its_question_alone(port: int) -> None:
    async def work(connection: Connection) -> list[Any]:
        return [await connection.ask(command(*words)) for words in (["NONSENSE"], ["PING"])]

    refused, answer = connected(port, work)
    assert isinstance(refused, ResponseError)
    assert answer == b"PONG"


def test_answers_may_arrive_in_pieces() -> None:
    answers = b"+OK\r\n:7\r\n$3\r\na\r\n\r\n*2\r\n:1\r\n*1\r\n$-1\r\n-OOM full\r\n"

    async def work() -> list[Any]:
        connection = Connection()
        connection.connection_made(_Nowhere())
        asked = [connection.ask(b"") for _ in range(5)]
        for place in range(len(answers)):
            connection.data_received(answers[place : place + 1])
        return [await one for one in asked]

    *values, error = asyncio.run(work())
    assert values == [b"OK", 7, b"a\r\n", [1, [None]]]
    assert type(error).__name__ == "OutOfMemoryError"


def test_what_is_no_answer_ends_the_connection() -> None:
    async def work() -> Any:
        connection = Connection()
        connection.connection_made(_Nowhere())
        asked = connection.ask(b"")
        connection.data_received(b"HTTP/1.1 400 Bad Request\r\n")
        assert not connection.is_open
        return await asked

    assert isinstance(asyncio.run(work()), Lost)


def test_a_stuck_store_is_asked_a_bounded_number_of_questions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "MAX_UNANSWERED", 10)

    async def work() -> list[Any]:
        connection = Connection()
        connection.connection_made(_Nowhere())
        asked = [connection.ask(b"") for _ in range(12)]
        late = [isinstance(one.result(), Late) for one in asked[10:]]
        connection.close()
        return late + [isinstance(await one, Lost) for one in asked[:10]]

    assert asyncio.run(work()) == [True] * 12


def test_a_busy_loop_is_no_slow_store(port: int) -> None:
    async def work(connection: Connection) -> list[Any]:
        asked = []
        for _ in range(5):
            asked.append(connection.ask(command("ECHO", "a")))
            time.sleep(2 * connections.PATIENCE_SECONDS)  # the loop computes, before it sends
            await asyncio.sleep(0)
            time.sleep(2 * connections.PATIENCE_SECONDS)  # and when it has sent
        return [*[await one for one in asked], connection.is_slow]

    assert connected(port, work) == [b"a"] * 5 + [False]


def test_a_slow_store_is_quick_again_although_the_loop_is_busy(port: int) -> None:
    async def work(connection: Connection) -> list[Any]:
        connection.is_slow = True
        asked = connection.ask(command("ECHO", "a"))
        while connection.is_slow:
            time.sleep(2 * connections.PATIENCE_SECONDS)
            await asyncio.sleep(0.001)
        return [isinstance(await asked, Late), await connection.ask(command("ECHO", "b"))]

    assert connected(port, work) == [True, b"b"]


class _Nowhere:
    """A transport to a server that never answers."""

    def write(self, data: bytes) -> None:
        pass

    def abort(self) -> None:
        pass
