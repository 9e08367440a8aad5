"""Where requests are counted: in the store that processes share, and here while that one fails."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any, TypeVar

import flask
from flask_limiter import Limiter
from limits import RateLimitItemPerMinute
from limits.errors import ConfigurationError
from limits.storage import RedisClusterStorage
from limits.strategies import RateLimiter

from service.engine.limits.memory import Windows
from service.engine.observe.metrics import Metrics
from service.engine.settings import BadConfiguration

logger = logging.getLogger(__name__)

STEP_TIMEOUT_SECONDS = 0.25  # one network step of the client library
STORE_TIMEOUT_SECONDS = 0.4  # a store that answers nobody for this long has failed
HEALTH_CHECK_SECONDS = 1  # ping a connection idle for this long: a firewall may have dropped it
RETRY_SECONDS = 2.0  # between two tries of a store that has failed

_TRIAL = RateLimitItemPerMinute(10**9)
_HERE = f"{Windows.STORAGE_SCHEME[0]}://"

Result = TypeVar("Result")
Question = Callable[[RateLimiter], Result]
_Asked = asyncio.Future[list[Result]] | Future[list[Result]]


class Store:
    """A Redis or Valkey through Flask-Limiter, or the memory of this process.

    A question is a function that asks a strategy of `limits`. When the store does not answer one in
    time, that one and all others are answered here at once, until a thread finds the store working:

        WORKS --- an error, or nobody answered for STORE_TIMEOUT_SECONDS ---> FAILING
          ^                                                                     |
          +---- _watch: a try every RETRY_SECONDS was answered quickly ---------+

    Any thread may set `is_failing`, under `_turn` so that one watcher is started; only the watcher
    unsets it. Questions then under way are abandoned: timeouts end them in their threads.
    """

    def __init__(self, url: str, metrics: Metrics) -> None:
        """Raises `BadConfiguration` for a URL that cannot be used."""
        self._url = url
        self._metrics = metrics
        self._here = _strategy(_HERE)
        self._shared: RateLimiter | None = None
        self._turn = threading.Lock()
        self.is_failing = False
        self._answered_at = 0.0
        self._closed = threading.Event()
        self._threads: ThreadPoolExecutor | None = None
        if url.startswith("memory:"):
            return
        self._threads = ThreadPoolExecutor(4, "limits")
        try:
            self._connected()
        except (ValueError, ConfigurationError):
            raise BadConfiguration("RATE_LIMIT_STORAGE_URL cannot be used") from None
        except Exception as error:  # the client of a cluster connects at once, and it is down
            self._fail(_name(error))

    async def ask(self, question: Question[Result]) -> Result:
        """The answer to a question of the event loop."""
        if self._threads and not self.is_failing:
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._threads, self._ask_shared, question)
            since = time.monotonic()
            while not asked.done() and (left := self._left(since)) > 0:
                await asyncio.wait([asked], timeout=left)
            if answers := self._taken(asked):
                return answers[0]
        return self._ask_here(question)

    def ask_from_thread(self, question: Question[Result]) -> Result:
        """The answer to a question of another thread."""
        if self._threads and not self.is_failing:
            asked = self._threads.submit(self._ask_shared, question)
            since = time.monotonic()
            while not asked.done() and (left := self._left(since)) > 0:
                wait([asked], left)
            if answers := self._taken(asked):
                return answers[0]
        return self._ask_here(question)

    def works(self) -> bool:
        """Whether what is counted is counted for all processes."""
        if self._threads:
            self.ask_from_thread(_try)
        return not self.is_failing

    def close(self) -> None:
        """Let go of the threads that ask the store."""
        self._closed.set()
        if self._threads:
            self._threads.shutdown(wait=False)

    def _connected(self) -> RateLimiter:
        if self._shared is None:
            self._shared = _strategy(self._url)
        return self._shared

    def _ask_here(self, question: Question[Result]) -> Result:
        with self._turn:
            return question(self._here)

    def _ask_shared(self, question: Question[Result]) -> list[Result]:
        """The answer of the store, or none if it fails; runs in one of the threads."""
        if self.is_failing:
            return []
        try:
            answer = question(self._connected())
        except Exception as error:  # each client library raises its own errors
            self._fail(_name(error))
            return []
        self._answered_at = time.monotonic()
        return [answer]

    def _left(self, since: float) -> float:
        """Seconds left for a question asked at `since`; each answer to another one extends it."""
        return max(since, self._answered_at) + STORE_TIMEOUT_SECONDS - time.monotonic()

    def _taken(self, asked: _Asked[Result]) -> list[Result]:
        """The answer if a thread has got it by now; if not, the store has failed."""
        if asked.done():
            return asked.result()
        asked.cancel()
        self._fail(f"no answer within {STORE_TIMEOUT_SECONDS} s")
        return []

    def _fail(self, why: str) -> None:
        with self._turn:
            if self.is_failing:
                return
            self.is_failing = True
        self._metrics.count("limiter_store_failures_total")
        self._metrics.gauge("limiter_fallback", 1)
        logger.warning("rate limit store fails, counting here: %s", why)
        threading.Thread(target=self._watch, name="limits-watch", daemon=True).start()

    def _watch(self) -> None:
        """Wait for the store to work again."""
        while not self._closed.wait(RETRY_SECONDS):
            with suppress(Exception):
                shared, started = self._connected(), time.monotonic()
                _try(shared)
                if time.monotonic() - started < STORE_TIMEOUT_SECONDS / 2:
                    self.is_failing = False
                    self._metrics.gauge("limiter_fallback", 0)
                    logger.warning("rate limit store works again")
                    return


def _strategy(url: str) -> RateLimiter:
    """Flask-Limiter's, on an application of its own: on ours its hooks cost 60 us a request."""
    limiter = Limiter(
        key_func=lambda: "",
        storage_uri=url,
        storage_options={} if url == _HERE else _options(url),
        strategy="sliding-window-counter",  # no double burst, and two numbers a key
        headers_enabled=False,
    )
    limiter.init_app(flask.Flask(__name__))
    return limiter.limiter


def _options(url: str) -> dict[str, Any]:
    """Timeouts, and a second try for a connection that was idle, which the client library pings
    first; a question has no time for more."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options: dict[str, Any] = {
        "socket_timeout": STEP_TIMEOUT_SECONDS,
        "socket_connect_timeout": STEP_TIMEOUT_SECONDS,
        "health_check_interval": HEALTH_CHECK_SECONDS,
    }
    if not url.startswith("redis+unix:"):  # its client has no such option
        options["socket_keepalive"] = True
    once, again = ({"retry": Retry(NoBackoff(), retries)} for retries in (0, 1))
    if url.startswith("redis+cluster:"):
        # Look the nodes up by the URL again, in case all their addresses have changed.
        return options | once | {"dynamic_startup_nodes": False}
    if url.startswith("redis+sentinel:"):
        return options | again | {"sentinel_kwargs": options | once}
    return options | again


def _try(strategy: RateLimiter) -> bool:
    """Count something, in a cluster that is whole; raises what the client library raises."""
    if isinstance(strategy.storage, RedisClusterStorage):
        from redis.exceptions import ClusterDownError

        cluster: Any = strategy.storage.storage
        for node in cluster.get_primaries():
            if cluster.cluster_info(node)["cluster_state"] != "ok":
                raise ClusterDownError("A node does not see all others.")
    return strategy.hit(_TRIAL)


def _name(error: Exception) -> str:
    """The kind of a failure. Its text is not logged: it may repeat what was sent."""
    return type(error.__cause__ or error).__name__
