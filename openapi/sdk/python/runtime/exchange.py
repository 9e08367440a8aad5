"""Sends requests until an answer of the service comes, and tells the others apart."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom
from typing import Any, TypeVar

import httpx

from ..errors import ApiError, UnexpectedAnswer, problem_of
from .operations import Operation, Request
from .steps import Read, Send, Steps, Wait, run

T = TypeVar("T")

BUSY = frozenset({429, 502, 503, 504})
# Then the request was never sent, so that even what must happen once may be tried again.
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0
LONGEST_RETRY_AFTER_SECONDS = 60.0
_random = SystemRandom()


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what became of it, for logs: it has no secrets.

    `operation` is the name of the method (`posts.create`) and `attempt` counts from 1. There is a
    `status` with the `request_id` of the answer, or an `error`: no answer came.
    """

    operation: str
    method: str
    url: str
    attempt: int
    seconds: float
    status: int | None = None
    request_id: str | None = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Exchanges:
    """With the service at `origin`; a request is sent up to `1 + retries` times."""

    origin: str
    user_agent: str
    retries: int
    hook: Callable[[Exchange], Any] | None

    def exchange(
        self,
        operation: Operation[Any],
        request: Request,
        bearer: str | None,
        *,
        stream: bool = False,
        retries: int | None = None,
    ) -> Steps[httpx.Response]:
        """The answer, which is a success.

        Raises ApiError, UnexpectedAnswer, or what httpx raises when no answer comes.
        """
        arguments = self._arguments(request, bearer)
        last = (self.retries if retries is None else retries) + 1
        lost = False  # whether the service may have done what it was asked, unnoticed
        for attempt in range(1, last + 1):
            outcome = yield from self._once(operation, arguments, attempt, stream)
            try:
                return (yield from checked(operation, outcome, stream))
            except (httpx.TransportError, ApiError, UnexpectedAnswer) as error:
                pause = _pause(error, operation, attempt)
                gone = lost and arguments["method"] == "delete" and _status(error) == 404
                if gone and isinstance(error, ApiError):
                    return httpx.Response(204)  # it was deleted the first time
                if attempt == last or pause is None:
                    raise
                lost = lost or not isinstance(error, (ApiError, *UNSENT))
            yield Wait(pause)
        raise AssertionError("a loop that returns or raises")

    def _arguments(self, request: Request, bearer: str | None) -> dict[str, Any]:
        headers = {"User-Agent": self.user_agent, **request.get("headers", {})}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
            if not re.fullmatch("[!-~]+", bearer):
                raise ValueError("Authorization has characters that no header can have")
        for name, value in headers.items():
            # httpx would not say in which one, and would show a token.
            if not (value.isascii() and value.isprintable()):
                raise ValueError(f"{name} has characters that no header can have")
        return {**request, "url": self.origin + request["url"], "headers": headers}

    def _once(
        self, operation: Operation[Any], arguments: dict[str, Any], attempt: int, stream: bool
    ) -> Steps[httpx.Response | Exception]:
        """What has come of a request, of which the hook has been told. What the hook itself raises
        is no reason to send the request again."""
        started = time.monotonic()
        outcome: httpx.Response | Exception
        seen: dict[str, Any]
        try:
            answer: httpx.Response = yield Send(arguments, stream)
        except Exception as error:
            outcome, seen = error, {"error": error}
        else:
            request_id = answer.headers.get("X-Request-Id")
            outcome, seen = answer, {"status": answer.status_code, "request_id": request_id}
        if self.hook is not None:
            about = (operation.name, arguments["method"].upper(), arguments["url"], attempt)
            yield from run(self.hook, Exchange(*about, time.monotonic() - started, **seen))
        return outcome


def checked(
    operation: Operation[Any], answer: httpx.Response | Exception, stream: bool
) -> Steps[httpx.Response]:
    """The answer, if it is a success of this operation."""
    if isinstance(answer, Exception):
        raise answer
    media = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if answer.is_success and media in operation.media:
        return answer
    if stream:
        yield Read(answer)
    if answer.is_success and not operation.media and not answer.content:
        return answer
    raise problem_of(answer)


def _status(error: Exception) -> int:
    return error.status if isinstance(error, (ApiError, UnexpectedAnswer)) else 0


def _pause(error: Exception, operation: Operation[Any], attempt: int) -> float | None:
    """Seconds until the request is sent again, or None if it must not be."""
    backoff = min(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1), LONGEST_PAUSE_SECONDS)
    pause = _random.uniform(0, backoff)  # full jitter
    if not isinstance(error, (ApiError, UnexpectedAnswer)):
        broken = not isinstance(error, (httpx.LocalProtocolError, httpx.UnsupportedProtocol))
        return pause if isinstance(error, UNSENT) or (operation.repeatable and broken) else None
    # The first of two equal requests is still at work: its answer was lost on the way.
    ahead = attempt > 1 and getattr(error, "code", "") == "idempotency-key-in-use"
    if not operation.repeatable or not (error.status in BUSY or ahead):
        return None
    if error.retry_after is None:
        return pause
    if error.retry_after > LONGEST_RETRY_AFTER_SECONDS:
        return None
    return error.retry_after + pause


def value_of(operation: Operation[T], answer: httpx.Response) -> T:
    """The value of a success."""
    try:
        value = operation.read(answer)
        if operation.gives_tokens and not isinstance(getattr(value, "access_token", 0), str):
            raise TypeError("these are no tokens")
    except Exception as error:
        raise UnexpectedAnswer(answer.status_code, answer.headers, answer.content) from error
    return value
