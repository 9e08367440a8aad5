"""A connection to a Redis or Valkey that the whole event loop shares.

Questions of one turn of the loop are written together, and answered in their order. redis-py keeps
a connection for each question under way: 64 to 77 us of CPU a question, against 8 here.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import Any

from service.engine.limits.hits import Late, NotAsked
from service.engine.limits.redis_parts import DefaultParser

PATIENCE_SECONDS = 0.04  # a request waits this long for an answer, or LOOK_SECONDS longer
SILENCE_SECONDS = 0.4  # a connection on which nothing came for this long, although asked, is dead
MAX_UNANSWERED = 1000  # questions of one connection
LOOK_SECONDS = 0.01  # between two looks for questions that wait too long


_error: Any = DefaultParser.parse_error  # untyped


class Lost(ConnectionError):
    """The connection ended before the answer came."""


class Connection(asyncio.Protocol):
    """Answers are values, or exceptions as values: nobody may be left to look at them.

    When a question has waited for too long, the connection is slow: further ones are sent, so that
    they count, but not waited for, until an answer comes in time again.

    A busy loop is no slow store. A question's time begins when it is written, and what has come
    before `_looked_at` has been read: the loop reads between `_look` and `_give_up`.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._unsent: list[bytes] = []
        self._sent_at = [math.inf]  # of the questions of this turn, which share the list
        self._unanswered: deque[tuple[asyncio.Future[Any], list[float], bool]] = deque()
        self._received = b""
        self._heard_at = 0.0
        self._looked_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.is_open = False
        self.is_slow = False

    def ask(self, question: bytes, *, is_patient: bool = False) -> asyncio.Future[Any]:
        """The answer, or an exception: `Late`, unless the asker is patient, or `Lost`."""
        answer = self._loop.create_future()
        if not self.is_open:
            answer.set_result(Lost())
            return answer
        if len(self._unanswered) >= MAX_UNANSWERED:
            answer.set_result(NotAsked())
            return answer
        if not self._unsent:
            self._loop.call_soon(self._write)
        self._unsent.append(question)
        self._unanswered.append((answer, self._sent_at, is_patient))
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
        if self.is_slow and not is_patient:
            answer.set_result(Late())
        return answer

    def close(self) -> None:
        """End the connection now; what is not answered yet is `Lost`."""
        if self._transport:
            self._transport.abort()
            self.connection_lost(None)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        while self._unanswered:
            _settle(self._unanswered.popleft()[0], Lost())

    def data_received(self, data: bytes) -> None:
        data = self._received + data
        start = 0
        self._heard_at = time.monotonic()
        try:
            while start < len(data) and self._unanswered:
                value, start = _parsed(data, start)
                answer, [sent_at], _ = self._unanswered.popleft()
                _settle(answer, value)
                if self.is_slow and self._looked_at - sent_at < PATIENCE_SECONDS:
                    self.is_slow = False
        except IndexError:  # the rest of an answer is still to come
            pass
        except ValueError:
            self.close()
        self._received = data[start:]

    def _write(self) -> None:
        questions, self._unsent = self._unsent, []
        self._sent_at[0] = time.monotonic()
        self._sent_at = [math.inf]
        if self.is_open:
            self._transport.write(b"".join(questions))

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        self._timer = self._loop.call_later(0.001, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if not self._unanswered:
            return
        _, [sent_at], _ = self._unanswered[0]
        if self._looked_at - max(sent_at, self._heard_at) > SILENCE_SECONDS:
            self.is_slow = True
            self.close()
            return
        for answer, [sent_at], is_patient in self._unanswered:
            if self._looked_at - sent_at <= PATIENCE_SECONDS:
                break
            if not is_patient and not answer.done():
                answer.set_result(Late())
                self.is_slow = True
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look)


def _settle(answer: asyncio.Future[Any], value: Any) -> None:
    if not answer.done():  # the request may be gone, or answered without it
        answer.set_result(value)


def _parsed(data: bytes, start: int) -> tuple[Any, int]:
    """The value at `start` (the protocol RESP 2), and where the next begins.

    Raises IndexError if it is not complete, and ValueError if it is none.
    """
    end = data.find(b"\r\n", start)
    if end < 0:
        raise IndexError
    kind, line, end = data[start], data[start + 1 : end], end + 2
    if kind == 36:  # $ and a length: bytes
        length = int(line)
        if length < 0:
            return None, end
        if len(data) < end + length + 2:
            raise IndexError
        return data[end : end + length], end + length + 2
    if kind == 58:  # : and an integer
        return int(line), end
    if kind == 43:  # + and a word
        return line, end
    if kind == 45:  # - and an error
        error: Exception = _error(line.decode(errors="replace"))
        return error, end
    if kind == 42:  # * and a length: a list
        values = []
        for _ in range(int(line)):
            value, end = _parsed(data, end)
            values.append(value)
        return values, end
    raise ValueError
