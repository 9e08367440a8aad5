"""Changes of what others may change at the same time (RFC 9110, section 13.1)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from random import SystemRandom
from typing import Any, Generic, TypeVar

import httpx

from ..errors import ApiError, UnexpectedAnswer
from .operations import NO_VERSION, UNKNOWN, Current, Operation, Request, same
from .session import Session
from .steps import Steps, Wait, run

T = TypeVar("T")

MAX_ATTEMPTS = 20
PAUSE_SECONDS = 0.1  # at most, times the number of attempts, so that rivals get out of step
_random = SystemRandom()


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """What `change` does: read something, ask `function` for changes of it, and `request` them.

    `function` returns None if nothing is to be changed.
    """

    current: Current[Any]
    function: Callable[[Any], Any]
    operation: Operation[Any]
    request: Callable[[Any, Any], Request]


def versioned(
    session: Session, operation: Operation[T], request: Request, current: Current[Any] | None
) -> Steps[T]:
    """What the operation answers. If it changes something, `current` is how to read that."""
    if current is None:
        return (yield from session.call(operation, request))
    if request["headers"].get("If-Match") == UNKNOWN:
        fresh = yield from session.call(current.operation, current.request)
        # The service refuses a version that nothing has, as it does one that has been replaced.
        version = fresh.etag if same(fresh, current.seen) else NO_VERSION
        request = {**request, "headers": {**request["headers"], "If-Match": version}}
    try:
        return (yield from session.call(operation, request))
    except ApiError as error:
        if error.status == HTTPStatus.PRECONDITION_FAILED:
            yield from _look(session, current, error)
        raise


def changed(session: Session, change: Change[T]) -> Steps[T]:
    """What has been changed, on the basis of its latest version."""
    current = change.current
    seen: T = yield from session.call(current.operation, current.request)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        changes = yield from run(change.function, seen)
        if changes is None:
            return seen
        request = change.request(seen, changes)
        try:
            value: T = yield from versioned(session, change.operation, request, current)
            return value
        except ApiError as error:
            if error.status != HTTPStatus.PRECONDITION_FAILED or attempt == MAX_ATTEMPTS:
                raise
            latest = error.current
        yield Wait(_random.uniform(0, PAUSE_SECONDS * attempt))
        if latest is None:
            latest = yield from session.call(current.operation, current.request)
        seen = latest
    raise AssertionError("a loop that returns or raises")


def _look(session: Session, current: Current[Any], error: ApiError) -> Steps[None]:
    """Add to an error what the resource is now. An error of the look would only hide the first."""
    with suppress(ApiError, UnexpectedAnswer, httpx.TransportError):
        error.current = yield from session.call(current.operation, current.request)
