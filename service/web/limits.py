"""Rate limits: Flask-Limiter's configuration and storage, driven by the specification."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
import math
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import flask
from flask_limiter import Limiter
from limits import RateLimitItem, parse_many
from limits.strategies import RateLimiter, SlidingWindowCounterRateLimiter
from prometheus_client import Counter

from service.problems import RateLimited
from service.settings import POLICIES
from service.web.call import KEY, Call
from service.web.windows import Windows

logger = logging.getLogger("byline")

STORE_TIMEOUT = 0.3  # seconds; beyond it the store counts as gone
STORE_REST = 5.0  # seconds until a store that failed is asked again


class Policy(NamedTuple):
    """One named limit: `per` is ip, user, session or email; `items` must all have room.

    `header` is its item in `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
    """

    name: str
    per: str
    items: tuple[RateLimitItem, ...]
    header: str


class Limits:
    """Counts what clients do. While a shared store is gone each process counts for itself."""

    def __init__(
        self,
        app: flask.Flask,
        *,
        enabled: bool,
        storage_url: str,
        client: str,
        overrides: Mapping[str, str],
        failures: Counter,
    ) -> None:
        self.enabled = enabled
        self._overrides = {"client": client, **overrides}
        self.client = self.policy("client", client, "ip")
        self._guards: dict[str, Policy] = {}
        self._remote = not storage_url.startswith("memory:")
        self._limiter = Limiter(
            key_func=lambda: "",
            storage_uri=storage_url if self._remote else "process://",
            storage_options=_timeouts(storage_url),
            strategy="sliding-window-counter",  # no double burst, and two numbers a key
            headers_enabled=False,
        )
        # For its storage and strategy only: on our own application its hooks cost 60 us a request.
        self._limiter.init_app(flask.Flask(__name__))
        app.extensions["limits"] = self
        self._local = SlidingWindowCounterRateLimiter(Windows())
        self._lock = threading.Lock()
        self._asks_store_at = 0.0
        self._failures = failures
        self._threads = ThreadPoolExecutor(4, "limits") if self._remote else None

    def policy(self, name: str, limit: str, per: str, number: int = 0) -> Policy:
        """The policy with the limit of the settings, or with `limit` from the specification.

        `number` counts the limits of one policy from 0, as `;` separates them in the settings.
        Raises ValueError for a name or a `per` that nothing enforces.
        """
        if name not in POLICIES or per not in {"ip", "user", "session", "email"}:
            raise ValueError(f"x-rate-limit {name} per {per} is not enforced")
        override = self._overrides.get(name)
        items = tuple(parse_many(override.split(";")[number] if override else limit))
        header = ", ".join(f'"{name}";q={item.amount};w={item.get_expiry()}' for item in items)
        return Policy(name, per, items, header)

    def of_operation(self, declared: Any) -> list[Policy]:
        """The policies that an operation's `x-rate-limit` declares, guards left aside."""
        if declared is None or declared == "none":
            return []
        entries = declared if isinstance(declared, list) else [declared]
        names = [entry["policy"] for entry in entries]
        policies = [
            self.policy(name, entry["limit"], entry["per"], names[:place].count(name))
            for place, (name, entry) in enumerate(zip(names, entries, strict=True))
        ]
        # Which address is meant is known further in: `guarded` and `allows` count those.
        self._guards |= {policy.name: policy for policy in policies if policy.per == "email"}
        return [policy for policy in policies if policy.per != "email"]

    async def count_client(self, call: Call) -> None:
        """Count a request against its client address; raises `RateLimited`."""
        await self.count(call, [self.client])

    async def count(self, call: Call, policies: list[Policy]) -> None:
        """Count a request against policies and note what is left; raises `RateLimited`."""
        if not self.enabled or not policies:
            return
        keys = [_key(policy, call) for policy in policies]
        if self._threads:
            loop = asyncio.get_running_loop()
            left = await loop.run_in_executor(self._threads, self._hit_all, policies, keys)
        else:
            left = self._hit_all(policies, keys)
        _note(call, policies, left)

    @contextmanager
    def guarded(self, name: str, address: str) -> Iterator[None]:
        """Count an attempt at `address` before it is made, and forget them all if it succeeds.

        Raises `RateLimited` without making the attempt when there were too many.
        """
        if self.enabled:
            call, policy = flask.request.environ[KEY], self._guards[name]
            _note(call, [policy], self._hit_all([policy], [_hash(address)]))
        yield
        self.forget(name, address)

    def allows(self, name: str, address: str) -> bool:
        """Count something about `address`; whether there was room for it. The answer does not tell:
        it would tell everybody."""
        if not self.enabled:
            return True
        [(remaining, _)] = self._hit_all([self._guards[name]], [_hash(address)])
        return remaining >= 0

    def forget(self, name: str, address: str) -> None:
        """Forget what was counted about `address`."""
        if self.enabled:
            policy, key = self._guards[name], _hash(address)
            self._ask(lambda strategy: [strategy.clear(i, policy.name, key) for i in policy.items])

    def close(self) -> None:
        """Let go of the threads that ask the store."""
        if self._threads:
            self._threads.shutdown(wait=False)

    def is_degraded(self) -> bool:
        """Whether the shared store does not answer, so that limits hold for each process alone."""
        if not self._remote:
            return False
        try:
            return not self._limiter.storage.check()
        except Exception:  # whatever the client library of the store raises, it is down
            return True

    def _hit_all(self, policies: list[Policy], keys: list[str]) -> list[tuple[int, int]]:
        """(remaining, seconds to reset) of each policy up to the first without room: -1."""
        left = []
        for policy, key in zip(policies, keys, strict=True):
            left.append(self._ask(lambda strategy, p=policy, k=key: _hit(strategy, p, k)))
            if left[-1][0] < 0:
                break
        return left

    def _ask(self, question: Any) -> Any:
        """Ask the store, or this process's own memory while the store is gone."""
        if self._remote and time.monotonic() >= self._asks_store_at:
            try:
                return question(self._limiter.limiter)
            except Exception as error:  # any failure of the store, of whichever client library
                self._asks_store_at = time.monotonic() + STORE_REST
                self._failures.inc()
                logger.warning("rate limit store is gone, counting here: %s", type(error).__name__)
        strategy = self._local if self._remote else self._limiter.limiter
        with self._lock:
            return question(strategy)


def limits() -> Limits:
    """The running application's limits."""
    found: Limits = flask.current_app.extensions["limits"]
    return found


def _note(call: Call, policies: list[Policy], left: list[tuple[int, int]]) -> None:
    """Note what is left of policies, for the answer's headers; raises `RateLimited`."""
    for policy, (remaining, reset) in zip(policies, left, strict=False):
        call.limits.append((policy.header, f'"{policy.name}";r={max(remaining, 0)};t={reset}'))
    if left[-1][0] < 0:
        raise RateLimited(retry_after=left[-1][1])


def _hit(strategy: RateLimiter, policy: Policy, key: str) -> tuple[int, int]:
    """What `strategy` does for `hit` and `get_window_stats`, with one key for both."""
    storage: Any = strategy.storage
    left = []
    for item in policy.items:
        name, seconds = item.key_for(policy.name, key), item.get_expiry()
        room = storage.acquire_sliding_window_entry(name, item.amount, seconds)
        before, before_ends, count, ends = storage.get_sliding_window(name, seconds)
        remaining = item.amount - math.floor(before * before_ends / seconds + count)
        resets = [ends % seconds] if count else []
        if before:
            resets.append(before_ends % (seconds / before))
        left.append((max(remaining, 0) if room else -1, -max(1, math.ceil(min(resets, default=0)))))
        if not room:
            break
    remaining, reset = min(left)
    return remaining, -reset


def _key(policy: Policy, call: Call) -> str:
    if policy.per == "ip" or call.claims is None:
        return _network(call.ip)
    return call.claims.subject if policy.per == "user" else call.claims.session_id


def _hash(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def _network(ip: str) -> str:
    """The address, or the /64 of an IPv6 one, for that is what one client is given."""
    if ":" not in ip:
        return ip
    try:
        return str(ipaddress.ip_network((ip, 64), strict=False))
    except ValueError:
        return ip


def _timeouts(storage_url: str) -> dict[str, Any]:
    if storage_url.startswith("memory:"):
        return {}
    return {"socket_timeout": STORE_TIMEOUT, "socket_connect_timeout": STORE_TIMEOUT}
