"""Lists that are asked for page after page, and answers that are read line by line."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from typing import Any, Generic, TypeAlias, TypeVar

import httpx

from ..errors import UnexpectedAnswer
from .calls import AsyncCalls, Calls
from .exchange import value_of
from .operations import Operation, Request
from .session import Session
from .steps import Steps

T = TypeVar("T")
Read = Callable[[dict[str, Any]], T]
# In a class with a method called `bytes`, an annotation `bytes` would mean that method.
Chunks: TypeAlias = Iterator[bytes]
AsyncChunks: TypeAlias = AsyncIterator[bytes]


class _Course:
    """Finds out that pages come after themselves, and would never end: by Brent's algorithm, in a
    memory that does not depend on how many there are."""

    def __init__(self) -> None:
        self._mark: httpx.QueryParams | None = None
        self._steps = 0
        self._most: int = 1  # pyright cannot infer what is doubled

    def comes_back(self, query: httpx.QueryParams) -> bool:
        """Whether the page with this query, which is next, was there before."""
        if query == self._mark:
            return True
        self._steps += 1
        if self._steps == self._most:
            self._mark, self._steps, self._most = query, 0, 2 * self._most
        return False


class _Request:
    """A request that is sent anew at each iteration."""

    def __init__(self, session: Session, operation: Operation[Any], request: Request) -> None:
        self._session = session
        self._operation = operation
        self._request = request

    def __repr__(self) -> str:
        return f"<{self._operation.name}>"


class _List(_Request, Generic[T]):
    _operation: Operation[list[T]]

    def _page(self, request: Request, course: _Course) -> Steps[tuple[list[T], Request | None]]:
        """The items of a page, and the request for the next one."""
        answer: httpx.Response = yield from self._session.send(self._operation, request)
        items = value_of(self._operation, answer)
        link = answer.links.get("next", {}).get("url", "")
        # Only the query is used: the rest of the address is known, and the link may be anybody's.
        query = httpx.QueryParams(link.partition("?")[2].partition("#")[0])
        if query and course.comes_back(query):
            raise UnexpectedAnswer(answer.status_code, answer.headers, answer.content)
        return items, {**request, "params": query} if query else None


class Pages(_List[T]):
    """The items of a list, from all its pages, each of which is asked for when its time comes.

    It can be iterated over any number of times, and asks the service anew each time.
    """

    def __init__(self, calls: Calls, operation: Operation[list[T]], request: Request) -> None:
        super().__init__(calls.session, operation, request)
        self._threads = calls.threads

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page

    def pages(self) -> Iterator[list[T]]:
        """The same, a page at a time."""
        request: Request | None = self._request
        course = _Course()
        while request is not None:
            items, request = self._threads.perform(self._page(request, course))
            yield items


class AsyncPages(_List[T]):
    """The items of a list, from all its pages, each of which is asked for when its time comes.

    It can be iterated over any number of times, and asks the service anew each time.
    """

    def __init__(self, calls: AsyncCalls, operation: Operation[list[T]], request: Request) -> None:
        super().__init__(calls.session, operation, request)
        self._tasks = calls.tasks

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page:
                yield item

    async def pages(self) -> AsyncIterator[list[T]]:
        """The same, a page at a time."""
        request: Request | None = self._request
        course = _Course()
        while request is not None:
            items, request = await self._tasks.perform(self._page(request, course))
            yield items


class _Lines(_Request, Generic[T]):
    def __init__(
        self, session: Session, operation: Operation[Any], request: Request, read: Read[T]
    ) -> None:
        super().__init__(session, operation, request)
        self._read = read

    def _send(self) -> Steps[httpx.Response]:
        return self._session.send(self._operation, self._request, stream=True)

    def _value(self, line: bytes, answer: httpx.Response) -> T:
        try:
            return self._read(json.loads(line))
        except Exception as error:
            raise UnexpectedAnswer(answer.status_code, answer.headers, line) from error


class Lines(_Lines[T]):
    """The lines of a streamed answer, in a memory that does not depend on how many there are.

    Each iteration asks the service anew, and closes the connection when it ends. An answer that
    breaks off is an `httpx.TransportError`, after the lines that have arrived.
    """

    def __init__(
        self,
        calls: Calls,
        operation: Operation[Any],
        request: Request,
        read: Read[T],
    ) -> None:
        super().__init__(calls.session, operation, request, read)
        self._threads = calls.threads

    def __iter__(self) -> Iterator[T]:
        answer = self._threads.perform(self._send())
        split = _Split()
        with closing(answer):
            for chunk in answer.iter_bytes():
                for line in split.lines(chunk):
                    yield self._value(line, answer)
            for line in split.rest():
                yield self._value(line, answer)

    def bytes(self) -> Chunks:
        """The same as bytes as they come, to write them into a file."""
        with closing(self._threads.perform(self._send())) as answer:
            yield from answer.iter_bytes()


class AsyncLines(_Lines[T]):
    """The lines of a streamed answer, in a memory that does not depend on how many there are.

    Each iteration asks the service anew, and closes the connection when it ends. An answer that
    breaks off is an `httpx.TransportError`, after the lines that have arrived.
    """

    def __init__(
        self,
        calls: AsyncCalls,
        operation: Operation[Any],
        request: Request,
        read: Read[T],
    ) -> None:
        super().__init__(calls.session, operation, request, read)
        self._tasks = calls.tasks

    async def __aiter__(self) -> AsyncIterator[T]:
        answer = await self._tasks.perform(self._send())
        split = _Split()
        async with aclosing(answer):
            async for chunk in answer.aiter_bytes():
                for line in split.lines(chunk):
                    yield self._value(line, answer)
            for line in split.rest():
                yield self._value(line, answer)

    async def bytes(self) -> AsyncChunks:
        """The same as bytes as they come, to write them into a file."""
        async with aclosing(await self._tasks.perform(self._send())) as answer:
            async for chunk in answer.aiter_bytes():
                yield chunk


class _Split:
    """Finds lines in chunks. Only a line feed ends one: texts may contain other separators."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []

    def lines(self, chunk: bytes) -> Iterator[bytes]:
        *ended, begun = chunk.split(b"\n")
        for line in ended:
            yield b"".join([*self._begun, line])
            self._begun = []
        self._begun.append(begun)

    def rest(self) -> list[bytes]:
        """What came after the last line feed."""
        rest = b"".join(self._begun)
        return [rest] if rest else []
