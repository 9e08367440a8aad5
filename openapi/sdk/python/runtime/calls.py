"""Performs operations, for the methods that are named after them."""

from __future__ import annotations

from typing import Any, TypeVar

from .changes import Change, changed, versioned
from .operations import Current, Operation, Request
from .session import Session
from .tasks import Tasks
from .threads import Threads

T = TypeVar("T")


class Calls:
    """Those of a synchronous client."""

    def __init__(self, threads: Threads, session: Session) -> None:
        self.threads, self.session = threads, session

    def call(
        self, operation: Operation[T], request: Request, current: Current[Any] | None = None
    ) -> T:
        return self.threads.perform(versioned(self.session, operation, request, current))

    def change(self, change: Change[T]) -> T:
        return self.threads.perform(changed(self.session, change))


class AsyncCalls:
    """Those of an asynchronous client."""

    def __init__(self, tasks: Tasks, session: Session) -> None:
        self.tasks, self.session = tasks, session

    async def call(
        self, operation: Operation[T], request: Request, current: Current[Any] | None = None
    ) -> T:
        return await self.tasks.perform(versioned(self.session, operation, request, current))

    async def change(self, change: Change[T]) -> T:
        return await self.tasks.perform(changed(self.session, change))
