"""An HTTP/1.1 connection of uvicorn's, in which every state has an end: drawn in `__init__.py`."""

from __future__ import annotations

import asyncio
from typing import Any

from service.engine.http.networks import UNKNOWN, address
from service.engine.problems import Problem
from service.engine.serve.idling import Idling
from service.engine.serve.messages import MAX_DROPPED_BYTES
from service.engine.serve.sending import Joining, refusal
from service.engine.serve.unsent import UNSENT, Unsent

HEAD_TIMEOUT_SECONDS = 10.0  # a client has this long to send a head
DROP_TIMEOUT_SECONDS = 60.0  # an unread body is dropped for this long, then the connection closed
MAX_PARSED_BYTES = 4 * 1024  # in one go, so that little behind an unanswered request is parsed
FIRST_REQUEST_SECONDS = 1.0  # at a stop: for a first request, or the rest of what is dropped
MALFORMED = "malformed"  # key in the lifespan's state: counts what is not HTTP, by address
LEAVING = "leaving"  # key in the lifespan's state, there once every answer is its connection's last


class Protocol(Idling):
    """For `uvicorn.Config(http=...)`.

    uvicorn itself waits forever for the rest of a head, and for a client to read its answer. Of
    pipelined requests it keeps any number, tells only the last one that the client has gone, and
    sends the refusal of a malformed one ahead of the answers to earlier ones. And it resets
    connections on which a client is still sending, which loses the answer.
    """

    __slots__ = (
        "_client_has_sent_eof",
        "_deadline",
        "_is_lingering",
        "_keep_alive_after_body",
        "_unread",
        "_unsent",
        "_waiting_app",
    )

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._unsent: Unsent = self.app_state[UNSENT]
        self._unread = b""
        self._deadline: asyncio.TimerHandle | None = None
        self._answering: Any = None
        self._waiting_app: Any = None  # the request that waits for earlier answers to be read
        # Whether to keep the connection after an answer, if the client sends the announced body.
        self._keep_alive_after_body = False
        self._is_lingering = False
        self._client_has_sent_eof = False
        self._expect(HEAD_TIMEOUT_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._unsent.forget(self)
        self._waiting_app = None
        if self._answering:
            self._disconnect(self._answering)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent.watch(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unsent.took(self)
        if self._waiting_app:
            app, self._waiting_app = self._waiting_app, None
            super()._start_asgi_task(self._answering, app)

    def data_received(self, data: bytes) -> None:
        if self._ignores_input:
            self._received += len(data)
            if self._received > MAX_DROPPED_BYTES:
                self.transport.abort()
        elif self.pipeline:
            self._keep(self._unread + data)
        else:
            self._read(data)

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio wants a bool
        """Whether the connection stays open: until the complete requests are answered.

        A client may close its side after its last request and go on reading (RFC 9293, section
        3.6), as `nc -N` does. One that has gone looks the same until something is written to it.
        """
        last = self._answering
        if self._is_lingering or last is None or last.response_complete or last.more_body:
            return False
        self._client_has_sent_eof = True
        self._end_after_answers()
        return True

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self._deadline is not None and not self._is_reading_head:
            self._stop_waiting()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._is_reading_head:
            return
        if self.cycle.response_complete:
            self._stop_waiting()
            self._forget()
        elif self._keep_alive_after_body:
            if not self.cycle.response_started:
                self.cycle.keep_alive = LEAVING not in self.app_state
            self._keep_alive_after_body = False

    def on_response_complete(self) -> None:
        self._answering.transport.flush()
        self.server_state.total_requests += 1
        if self.transport.get_write_buffer_size():
            self._unsent.watch(self)
        if self._is_lingering or self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._begin_idling()
            if self._has_rest():
                self._expect(DROP_TIMEOUT_SECONDS)
        if (self._unread or self._is_reading_head) and not self.pipeline:
            data, self._unread = self._unread, b""
            self.flow.is_held = False
            self._read(data)
            self.flow.resume_reading()

    @property
    def client_address(self) -> str | None:
        """The client whose request is answered, not its proxy; None on a Unix socket."""
        client = self._answering.scope["client"] if self._answering else self.client
        return client[0] if client else None

    def leave(self) -> None:
        """Make the answer in progress the last one, unless its head has been sent."""
        if self._answering and not self._answering.response_started:
            self._answering.keep_alive = False

    def shutdown(self) -> None:
        """Close as soon as what has begun is answered."""
        if self._is_reading_head:
            return
        is_new = self.cycle is None and self._idle_since is None
        if is_new or self._is_lingering or self._has_rest():
            self._stop_waiting()
            self._expect(FIRST_REQUEST_SECONDS)
        else:
            super().shutdown()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if LEAVING in self.app_state:
            cycle.keep_alive = False
        cycle.transport = Joining(self.transport, self._close)
        self._answering = cycle
        if cycle.waiting_for_100_continue and cycle.more_body:
            # A client refused before `100 Continue` may send the body or not: close, to be safe.
            self._keep_alive_after_body, cycle.keep_alive = cycle.keep_alive, False
        if self.flow.write_paused:
            self._waiting_app = app  # or unread answers would fill the memory
        else:
            super()._start_asgi_task(cycle, app)

    def _read(self, data: bytes) -> None:
        for start in range(0, len(data), MAX_PARSED_BYTES):
            if self.pipeline:
                self._keep(data[start:])
                return
            try:
                self.parse(data[start : start + MAX_PARSED_BYTES])
            except Problem as problem:
                self._refuse(problem)
            if self._ignores_input or self.transport.is_closing():
                return
        if self.pipeline:
            self._stop_waiting()  # reading is paused, even within a head
        elif self._is_reading_head or self.cycle is None or self.cycle.response_complete:
            # Also when no head has begun: empty lines may come before it, without end.
            self._expect(DROP_TIMEOUT_SECONDS if self._has_rest() else HEAD_TIMEOUT_SECONDS)

    def _keep(self, data: bytes) -> None:
        """Parse this after the answer in progress, and read no more until then."""
        self._unread = data
        self.flow.is_held = True
        self.flow.pause_reading()
        self._stop_waiting()

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem, and close the connection that it came on."""
        if self._has_rest():  # the request has its answer, and cannot get a second one
            self._linger()
            return
        before = self._answering
        if before and not before.response_complete:
            if before.response_started or not before.more_body:
                self._end_after_answers()
                return
            self._disconnect(before)
        self.transport.write(refusal(problem, self.server_state.default_headers))
        self._linger()
        count = self.app_state[MALFORMED](address(self.client[0]) if self.client else UNKNOWN)
        task = self.loop.create_task(count)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _end_after_answers(self) -> None:
        """Answer the complete requests, then close without a refusal of what follows: the client
        would take it for the answer to one of them."""
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()
        last = self.pipeline[0][0] if self.pipeline else self._answering
        last.keep_alive = False
        self._ignores_input = True
        self._stop_waiting()

    def _close(self) -> None:
        """Close after an answer so that the client can still read it (RFC 9112, section 9.6)."""
        if self._client_has_sent_eof:
            self.transport.close()
            return
        is_writing = (
            self._answering.more_body or self._is_reading_head or self.pipeline or self._unread
        )
        if LEAVING in self.app_state and not (self._ignores_input or is_writing):
            self.transport.close()  # at shutdown, only clients that are sending are waited for
        else:
            self._linger()

    def _linger(self) -> None:
        if self.transport.is_closing():
            return
        self._ignores_input = self._is_lingering = True
        self._received = 0
        self.pipeline.clear()
        self._stop_waiting()
        self._expect(DROP_TIMEOUT_SECONDS)
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _has_rest(self) -> bool:
        """Whether the last request was answered before its body had come."""
        return self.cycle is not None and self.cycle.response_complete and self.cycle.more_body

    def _disconnect(self, cycle: Any) -> None:
        cycle.disconnected = True
        cycle.message_event.set()

    def _expect(self, seconds: float) -> None:
        """Close the connection after this many seconds, unless `_stop_waiting` is called first. A
        deadline that is set already stays."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
