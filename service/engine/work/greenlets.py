"""Work on the event loop itself, in greenlets that give way while they wait.

For work that mostly waits for a database elsewhere: a hand-over to a thread and back costs more
than such a request computes. The code that runs here is the same plain, synchronous code as in a
thread.

A job, in its greenlet:

    run() --full--> refused               at once
      |
      v
    QUEUED --too long--> refused          by _sweep; at most `greenlets` jobs are past this state
      |
      v
    RUNNING --> returned or raised        the loop does nothing else meanwhile
      |  ^
      |  | resume(), from a callback of the loop: the awaited answer, or the end of patience
      v  |
    WAITING                               in `wait_for` or `Socket.wait`; the loop goes on

The greenlet of a job that has ended runs the next one. A job whose client has gone runs to its end,
as in a thread. All of this happens in the thread of the loop, so nothing here needs a lock.

What computes for longer than about a millisecond must not do so here, or it holds up all requests
of the process: `aside` has a thread compute it.

A job must not tell the loop itself which sockets to watch: `on_loop` does. Greenlets take turns on
one C stack, and libuv keeps a pointer to a variable of its own there while it reports sockets. A
job may lie over that variable, and libuv would take the job's data for its own and crash.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

from service.engine.problems import Unavailable
from service.engine.work.threads import QUEUE_CHECK_SECONDS, QUEUE_TIMEOUT_SECONDS, Pool

if TYPE_CHECKING:
    from service.engine.work.sockets import Socket

Result = TypeVar("Result")

TEXT_FOR_A_THREAD_CHARACTERS = 2000  # about 1 ms, in which the event loop does nothing else
LOOK_SECONDS = 0.1  # between two looks at the sockets; a wait ends this late at most


class GreenletPool:
    """Runs functions in the thread of the event loop, with the interface of `threads.Pool`.

    At most `greenlets` jobs are under way, and at most `capacity` run or wait; one more, or one
    that has waited too long, is refused with `Unavailable`. `threads` run what the jobs put
    `aside`.
    """

    def __init__(self, greenlets: int, capacity: int, threads: Pool) -> None:
        self._most = greenlets
        self._capacity = capacity
        self.threads = threads
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: list[Worker] = []
        self._turns: deque[tuple[asyncio.Future[None], float]] = deque()
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._waiting: dict[Socket, float] = {}
        self._look_timer: asyncio.TimerHandle | None = None
        self._pending = 0
        self._running = 0
        self._refusals = 0

    async def run(self, function: Callable[..., Any], *arguments: Any, origin: str = "") -> Any:
        """What the function returns or raises; `origin` is ignored."""
        if self._pending >= self._capacity:
            raise self._refusal("Too many requests are being answered.")
        self._pending += 1
        loop = asyncio.get_running_loop()  # kept, because before Python 3.12 it is a system call
        future: asyncio.Future[Any] | None = None
        try:
            if self._running < self._most:
                self._running += 1
            else:
                await self._turn()
            worker = self._worker(loop)
            worker.job = (function, arguments)
            worker.go_on()
            if worker.outcome is None:
                worker.future = future = loop.create_future()
                return await future
            returned, result = self._rest(worker)
        finally:
            self._pending -= 1
            future = None  # breaks a cycle: its exception refers to this frame
        if returned:
            return result
        try:
            raise result
        finally:
            del result  # as above

    def readings(self) -> dict[str, int]:
        """For the metrics, as of `threads.Pool`; a greenlet counts as a thread."""
        return {
            "threads": self._running + len(self._idle),
            "threads_busy": self._running,
            "waiting": len(self._turns),
            "pending": self._pending,
            "capacity": self._capacity,
            "refusals_total": self._refusals,
        }

    def close(self) -> None:
        """End the threads when they have run the waiting jobs."""
        self._idle.clear()
        self.threads.close()

    def watch(self, socket: Socket, until: float) -> None:
        """Have the job that waits for this socket end its wait at `until`, in monotonic seconds."""
        self._waiting[socket] = until
        if self._look_timer is None:
            self._look_later()

    def unwatch(self, socket: Socket) -> None:
        self._waiting.pop(socket, None)

    def resume(self, worker: Worker) -> None:
        """Go on with a job that waits; called by the loop."""
        worker.go_on()
        if worker.outcome is not None:
            future, worker.future = worker.future, None
            returned, result = self._rest(worker)
            if future is not None and not future.done():  # else its client has gone
                (future.set_result if returned else future.set_exception)(result)

    def _worker(self, loop: asyncio.AbstractEventLoop) -> Worker:
        if loop is not self._loop:  # greenlets cannot leave the thread they were made in
            self._loop = loop
            self._idle.clear()
            self._sweep_timer = self._look_timer = None
        return self._idle.pop() if self._idle else Worker(self, loop)

    def _rest(self, worker: Worker) -> Any:
        """The outcome of a job that has ended. Its worker is idle now; the next job may begin."""
        outcome, worker.outcome = worker.outcome, None
        self._idle.append(worker)
        self._pass_on()
        return outcome

    def _pass_on(self) -> None:
        """Leave the place of a job to the next one."""
        while self._turns:
            turn, _ = self._turns.popleft()
            if not turn.done():  # else its client has gone
                turn.set_result(None)
                return
        self._running -= 1

    async def _turn(self) -> None:
        """Wait until one of the running jobs leaves its place to this one."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._turns.append((turn, time.monotonic()))
        if self._sweep_timer is None:
            self._sweep_timer = loop.call_later(QUEUE_CHECK_SECONDS, self._sweep, loop)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not (turn.cancelled() or turn.exception()):  # it had just got one
                self._pass_on()
            raise

    def _look_at_sockets(self) -> None:
        self._look_timer = None
        now = time.monotonic()
        for socket, until in list(self._waiting.items()):
            socket.look(is_late=until <= now)
        self._look_later()

    def _look_later(self) -> None:
        if self._waiting and self._look_timer is None and self._loop is not None:
            look = self._look_at_sockets
            self._look_timer = self._loop.call_later(LOOK_SECONDS, look, context=Context())

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Refuse jobs that have waited too long."""
        self._sweep_timer = None
        before = time.monotonic() - QUEUE_TIMEOUT_SECONDS
        while self._turns and self._turns[0][1] < before:
            turn, _ = self._turns.popleft()
            if not turn.done():
                turn.set_exception(self._refusal("The request waited too long for its turn."))
        if self._turns:
            self._sweep_timer = loop.call_later(QUEUE_CHECK_SECONDS, self._sweep, loop)

    def _refusal(self, why: str) -> Unavailable:
        self._refusals += 1
        return Unavailable(why)


class Worker(greenlet):
    """A greenlet that runs jobs one after the other. `job` is the next function with its arguments;
    `outcome` is (True, what the last one returned) or (False, what it raised). An idle worker keeps
    nothing of its last job."""

    def __init__(self, pool: GreenletPool, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(self._work)
        self.pool = pool
        self.loop = loop
        self.job: tuple[Callable[..., Any], tuple[Any, ...]] | None = None
        self.outcome: tuple[bool, Any] | None = None
        self.future: asyncio.Future[Any] | None = None

    def go_on(self) -> None:
        """Run the job until it waits or ends. Called by the loop, in its own greenlet."""
        wanted = self.switch()
        while wanted is not None:
            try:
                wanted()
            except Exception as error:
                wanted = self.throw(error)
            else:
                wanted = self.switch()

    def pause(self, wanted: Callable[[], object] | None = None) -> None:
        """Let the loop go on, until it switches back: at once if it is `wanted` to call something,
        with what that raises."""
        loop: Any = self.parent
        loop.switch(wanted)

    def _work(self) -> None:
        while self.job:
            (function, arguments), self.job = self.job, None
            try:
                self.outcome = (True, function(*arguments))
            except GreenletExit:  # the process ends
                raise
            except StopIteration:  # a future does not take it
                self.outcome = (False, RuntimeError("StopIteration"))
            except BaseException as error:
                self.outcome = (False, error)
            del function, arguments
            self.pause()


def here() -> Worker:
    """The caller's greenlet. Call this only where `is_here()` is true."""
    worker: Any = getcurrent()
    return worker  # type: ignore[no-any-return] # `is_here` says so


def is_here() -> bool:
    """Whether the caller runs in a job on the event loop."""
    return type(getcurrent()) is Worker


def on_loop(function: Callable[[], object]) -> None:
    """Call a function that changes which sockets the loop watches; raises what it raises. A job
    has the loop's own greenlet call it."""
    worker = getcurrent()
    if isinstance(worker, Worker):
        worker.pause(function)
    else:
        function()


def wait_for(awaitable: Awaitable[Result]) -> Result:
    """What it returns or raises; the job gives way meanwhile. Only where `is_here()` is true."""
    worker = here()
    # In an empty context: a connection opened there would keep the job's context and request.
    awaited = Context().run(asyncio.ensure_future, awaitable)
    if not awaited.done():
        awaited.add_done_callback(lambda _: worker.pool.resume(worker))
        worker.pause()
    return awaited.result()


def aside(function: Callable[..., Result], *arguments: Any) -> Result:
    """What the function returns or raises. A thread runs it if the caller is on the event loop, so
    it must not use the database or the request."""
    worker = getcurrent()
    if not isinstance(worker, Worker):
        return function(*arguments)
    result: Result = wait_for(worker.pool.threads.run(function, *arguments))
    return result


def aside_if_long(function: Callable[..., Result], *texts: str) -> Result:
    """What the function computes from texts; if they are long, it runs `aside`."""
    is_long = sum(map(len, texts)) > TEXT_FOR_A_THREAD_CHARACTERS
    return aside(function, *texts) if is_long else function(*texts)
