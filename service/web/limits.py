"""Rate limits, driven by the specification."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import flask
from limits import RateLimitItem, parse_many
from limits.strategies import RateLimiter

from service.problems import RateLimited
from service.values import POLICIES
from service.web.call import KEY, Call
from service.web.limit_store import Store
from service.web.metrics import Metrics
from service.web.networks import network

_NO_LIMIT = 10**9
Left = list[tuple[int, int]]  # of policies: how much, or -1 for no room, and seconds to the reset


class Policy(NamedTuple):
    """One named limit: `per` is ip, user, session or email; `items` must all have room.

    `header` is its item in `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
    """

    name: str
    per: str
    items: tuple[RateLimitItem, ...]
    header: str


class Limits:
    """Counts what clients do, and refuses what is too much."""

    def __init__(
        self,
        app: flask.Flask,
        *,
        enabled: bool,
        storage_url: str,
        client: str,
        overrides: Mapping[str, str],
        metrics: Metrics,
    ) -> None:
        self.enabled = enabled
        self._overrides = {"client": client, **overrides}
        self.client = self.policy("client", client, "ip")
        self._guards: dict[str, Policy] = {}
        self._metrics = metrics
        self._store = Store(storage_url, metrics)
        app.extensions["limits"] = self

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
        # Which address is meant is known further in: `guarded` and the outbox count those.
        for policy in policies:
            if policy.per == "email":
                items = [each.items for each in policies if each[:2] == policy[:2]]
                self._guards[policy.name] = policy._replace(items=tuple(chain(*items)))
        return [policy for policy in policies if policy.per != "email"]

    async def count_client(self, call: Call) -> None:
        """Count a request against its client address; raises `RateLimited`."""
        await self.count(call, [self.client])

    async def count(self, call: Call, policies: list[Policy]) -> None:
        """Count a request against policies and note what is left; raises `RateLimited`."""
        if not self.enabled or not policies:
            return
        keys = [_key(policy, call) for policy in policies]
        left = await self._store.ask(partial(_hit_all, policies, keys))
        self._note(call, policies, left)

    @contextmanager
    def guarded(self, name: str, address: str) -> Iterator[None]:
        """Count an attempt at `address` before it is made, and forget them all if it succeeds.

        Raises `RateLimited` without making the attempt when there were too many.
        """
        if not self.enabled:
            yield
            return
        policy, key = self._guards[name], _hash(address)
        left = self._store.ask_from_thread(partial(_hit_all, [policy], [key]))
        self._note(flask.request.environ[KEY], [policy], left)
        try:
            yield
        except Exception as error:
            if getattr(error, "status", 500) >= 500:  # no password was compared
                self._store.ask_from_thread(partial(_give_back, policy, key))
            raise
        self.forget(name, address)

    def per_address(self, name: str) -> list[tuple[int, int]]:
        """The limits of a policy for each address, as amounts and seconds; none if they are off."""
        if not self.enabled:
            return []
        return [(item.amount, item.get_expiry()) for item in self._guards[name].items]

    def decided(self, name: str, allowed: bool) -> None:
        """Note in the metrics what was decided elsewhere about a policy."""
        outcome = "allowed" if allowed else "refused"
        self._metrics.count("byline_limiter_decisions_total", name, outcome)

    def forget(self, name: str, address: str) -> None:
        """Forget what was counted about `address`."""
        if self.enabled:
            clear = partial(_clear, self._guards[name], _hash(address))
            self._store.ask_from_thread(clear)

    def remember(self, name: str, seconds: int) -> None:
        """Remember a name for so many seconds at least, and for twice as many at most."""
        self._store.ask_from_thread(partial(_remember, name, seconds))

    def remembers(self, name: str, seconds: int) -> bool:
        """Whether a name is remembered, or may be by another process while the store fails."""
        return self._store.ask_from_thread(partial(_remembers, name, seconds)) or (
            self._store.is_failing
        )

    def is_degraded(self) -> bool:
        """Whether the shared store fails, so that limits hold for each process alone."""
        return not self._store.works()

    def close(self) -> None:
        """Let go of the threads that ask the store."""
        self._store.close()

    def _note(self, call: Call, policies: list[Policy], left: Left) -> None:
        """Note what is left of policies, for the answer's headers; raises `RateLimited`."""
        for policy, (remaining, reset) in zip(policies, left, strict=False):
            call.limits.append((policy.header, f'"{policy.name}";r={max(remaining, 0)};t={reset}'))
        if not self._decided(policies, left):
            raise RateLimited(retry_after=left[-1][1])

    def _decided(self, policies: list[Policy], left: Left) -> bool:
        """Whether all policies have room; each decision is counted."""
        for policy, (remaining, _) in zip(policies, left, strict=False):
            outcome = "refused" if remaining < 0 else "allowed"
            self._metrics.count("byline_limiter_decisions_total", policy.name, outcome)
        return left[-1][0] >= 0


def limits() -> Limits:
    """The running application's limits."""
    found: Limits = flask.current_app.extensions["limits"]
    return found


def _hit_all(policies: list[Policy], keys: list[str], strategy: RateLimiter) -> Left:
    """What is left of each policy, up to the first without room."""
    left = []
    for policy, key in zip(policies, keys, strict=True):
        left.append(_hit(strategy, policy, key))
        if left[-1][0] < 0:
            break
    return left


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


def _give_back(policy: Policy, key: str, strategy: RateLimiter) -> None:
    """Undo a hit, in one step: it is a hit that counts -1."""
    storage: Any = strategy.storage
    for item in policy.items:
        name = item.key_for(policy.name, key)
        storage.acquire_sliding_window_entry(name, item.amount, item.get_expiry(), -1)


def _clear(policy: Policy, key: str, strategy: RateLimiter) -> None:
    for item in policy.items:
        strategy.clear(item, policy.name, key)


def _remember(name: str, seconds: int, strategy: RateLimiter) -> None:
    storage: Any = strategy.storage
    storage.acquire_sliding_window_entry(name, _NO_LIMIT, seconds)


def _remembers(name: str, seconds: int, strategy: RateLimiter) -> bool:
    storage: Any = strategy.storage
    before, _, count, _ = storage.get_sliding_window(name, seconds)
    return bool(before + count)


def _key(policy: Policy, call: Call) -> str:
    if policy.per == "ip" or call.claims is None:
        return network(call.ip)
    return call.claims.subject if policy.per == "user" else call.claims.session_id


def _hash(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()
