"""Idle connections: closed in time, and small, because there may be thousands."""

from __future__ import annotations

from contextvars import Context
from typing import Any

from service.engine.serve.messages import Messages


class Idling(Messages):
    """Closes connections that have been idle for `timeout_keep_alive` seconds.

    uvicorn itself keeps the whole last request until the next one comes, and a timer for each
    answer, which keeps the context of the request.
    """

    __slots__ = ("_answering", "_idle_since")

    _answering: Any  # the request that is answered, None while idle

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._idle_since: float | None = None  # seconds of the loop's clock; None before an answer

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it was idle for long enough; if not, look again later.

        One timer serves all answers of a connection, because setting one for each costs more.
        """
        self.timeout_keep_alive_task = None
        if self._is_reading_head or self.cycle is not None or self._idle_since is None:
            return  # not idle: the next answer sets the timer again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_in(left)
        else:
            self.transport.close()

    def _begin_idling(self) -> None:
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_in(self.timeout_keep_alive)
        if not (self._is_reading_head or self._answering.more_body):
            self._forget()

    def _look_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler, context=Context()
        )

    def _forget(self) -> None:
        """Drop the request that was received and answered completely."""
        self.scope = self.headers = self.cycle = self._answering = None
        self.url = b""
