"""Where requests are counted: in the store that processes share, and here while that one fails."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import flask
from flask_limiter import Limiter
from limits.errors import ConfigurationError

from service.engine.limits.hits import Count, Hit, Late, NotAsked
from service.engine.limits.memory import Windows
from service.engine.observe.metrics import Metrics
from service.engine.settings import BadConfiguration
from service.engine.work import greenlets

if TYPE_CHECKING:
    from service.engine.limits.addresses import Servers

logger = logging.getLogger(__name__)

CHECK_TIMEOUT_SECONDS = 1.0  # what readiness can wait for
RETRY_SECONDS = 2.0  # between two tries of a store that has failed


class Store:
    """A Redis or Valkey, or the memory of this process.

        WORKS ---- a request waited for PATIENCE_SECONDS ----> SLOW
          |  ^                                                 |  |
          |  +------------ an answer came in time -------------+  |
          |                                                       |
          +--- an error, or no connection can be made -----+------+
                                                           v
        WORKS <--- _watch: a try every RETRY_SECONDS --- FAILING

    A request that cannot have an answer of the store is counted here, at once. While the store is
    slow (`Connection` knows), it is asked all the same, so that it counts for the other processes;
    while it fails, only by `_watch`. A connection on which nothing comes any more is replaced,
    which is what tells a store that hangs from a firewall that forgets connections.

    All of this happens on the event loop; code that is no coroutine waits in `ask_from_work`.
    """

    def __init__(self, url: str, metrics: Metrics) -> None:
        """Raises `BadConfiguration` for a URL that cannot be used."""
        self._metrics = metrics
        self._here = _memory()
        self._turn = threading.Lock()  # for `_here`
        self._servers: Servers | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watching: asyncio.Task[None] | None = None
        self._missed_at = -math.inf  # in monotonic seconds
        self.is_failing = False
        if url.startswith("memory:"):
            return
        from service.engine.limits.addresses import servers  # with a client library for it only

        try:
            self._servers = servers(url, self._fail)
        except (ValueError, ConfigurationError):
            raise BadConfiguration("RATE_LIMIT_STORAGE_URL cannot be used") from None

    def start(self) -> None:
        """Answer code that is no coroutine, too; the event loop must be running."""
        self._loop = asyncio.get_running_loop()

    @property
    def is_shared(self) -> bool:
        """Whether a question takes a round trip."""
        return self._servers is not None and not self.is_failing

    @property
    def misses_hits(self) -> bool:
        """Whether other processes may have counted what is not known here."""
        return self._servers is not None and (self.is_failing or self._servers.is_slow)

    def missed_hits(self, seconds: int) -> bool:
        """Whether the store may lack hits of the last so many seconds."""
        return self.misses_hits or time.monotonic() - self._missed_at < seconds

    async def ask(self, hits: list[Hit]) -> list[Count]:
        """The counts of hits, up to the first without room."""
        if self._servers is not None and not self.is_failing:
            try:
                return await self._servers.hit(hits)
            except NotAsked:
                self._missed_at = time.monotonic()
            except Late:
                pass
            except Exception as error:
                self._fail(error)
        return self._ask_here(hits)

    def ask_from_work(self, hits: list[Hit]) -> list[Count]:
        """The same for code that is no coroutine."""
        if self._loop is None or not self.is_shared:
            return self._ask_here(hits)
        try:
            wait = greenlets.wait_for if greenlets.is_here() else self._wait_in_thread
            counts: list[Count] = wait(self.ask(hits))
        except (CancelledError, asyncio.CancelledError):  # the loop has ended
            return self._ask_here(hits)
        return counts

    def works(self) -> bool:
        """Whether what is counted is counted for all processes; for a thread."""
        if self._servers is not None and self._loop is not None and not self.is_failing:
            with suppress(CancelledError):  # the loop has ended
                self._wait_in_thread(self._check(self._servers))
        return not self.misses_hits

    async def close(self) -> None:
        """End the connections."""
        self._loop, self.is_failing = None, True
        if self._watching:
            self._watching.cancel()
        if self._servers is not None:
            self._servers.close()

    def _wait_in_thread(self, asked: Coroutine[Any, Any, Any]) -> Any:
        loop = self._loop
        return loop and asyncio.run_coroutine_threadsafe(asked, loop).result()

    def _ask_here(self, hits: list[Hit]) -> list[Count]:
        with self._turn:
            return self._here.hit(hits)

    async def _check(self, servers: Servers) -> None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                await servers.check()
        except Exception as error:
            self._fail(error)
        self._metrics.gauge("limiter_fallback", self.misses_hits)

    def _fail(self, error: Exception) -> None:
        if self.is_failing or self._servers is None:
            return
        self.is_failing = True
        self._metrics.count("limiter_store_failures_total")
        self._metrics.gauge("limiter_fallback", 1)
        # Not the text: it may repeat what was sent.
        logger.warning("rate limit store fails, counting here: %s", type(error).__name__)
        self._servers.close()
        self._watching = asyncio.create_task(self._watch(self._servers))

    async def _watch(self, servers: Servers) -> None:
        """Wait for the store to work again."""
        while self.is_failing:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                await servers.check()
                self._missed_at = time.monotonic()
                self.is_failing = servers.is_slow
            except Exception:  # each kind of store has its own
                servers.close()  # Sentinel may name another by the next time
        self._metrics.gauge("limiter_fallback", 0)
        logger.warning("rate limit store works again")


def _memory() -> Windows:
    """Flask-Limiter's storage, on an application of its own: on ours its hooks cost 60 us a
    request."""
    limiter = Limiter(
        key_func=lambda: "",
        storage_uri=f"{Windows.STORAGE_SCHEME[0]}://",
        strategy="sliding-window-counter",  # no double burst, and two numbers a key
        headers_enabled=False,
    )
    limiter.init_app(flask.Flask(__name__))
    windows: Any = limiter.limiter.storage
    return windows  # type: ignore[no-any-return] # a Windows, by its scheme
