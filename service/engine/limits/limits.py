"""Rate limits, driven by the specification."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import flask
from limits import RateLimitItem, parse_many
from limits.strategies import RateLimiter

from service.engine.http.networks import PROVIDER_BLOCK, SITE, network
from service.engine.limits.store import Store
from service.engine.observe.catalogue import OUTCOMES
from service.engine.observe.metrics import Metrics
from service.engine.problems import Problem, RateLimited, Unauthorized
from service.engine.request import Request, current_request
from service.engine.spec.specification import limits as declared_limits

_NO_LIMIT = 10**9
# What an IPv6 /56 and /48 may do, as a multiple of one client's limit. Most households have one or
# two networks in their /56; a /48 is a company, or many subscribers of a mobile network.
_SITE, _PROVIDER_BLOCK = 4, 16
Left = list[tuple[int, int]]  # per policy: what is left (-1: refused) and the seconds to the reset
_PER = {"ip", "user", "session"}
_COUNTS = {None, "failures"}
Answering = TypeVar("Answering")
Keys = tuple[str, ...]  # what a policy is counted under: for IPv6 clients also larger networks


class Policy(NamedTuple):
    """One named limit: `per` is ip, user (or personal token), session, or a word of the service.

    `by_network` has the limits of each key, the client's first; all must have room. With
    `only_failures`, what was counted is given back unless the answer is a 401 that is a failure.
    `header` is the policy's item in `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
    """

    name: str
    per: str
    by_network: tuple[tuple[RateLimitItem, ...], ...]
    only_failures: bool
    header: str


class Limits:
    """Counts what clients do, and refuses what is too much; `document` is the specification.

    `own` are words in `per` and `counts` that stand for what only the service can tell: a limit
    with one of them is counted by the service itself, with `count_own` or in its own way.
    """

    def __init__(
        self,
        app: flask.Flask,
        document: dict[str, Any],
        *,
        enabled: bool,
        storage_url: str,
        client: str | None,
        overrides: Mapping[str, str],
        metrics: Metrics,
        own: frozenset[str] = frozenset(),
    ) -> None:
        self.enabled = enabled
        self._overrides = ({"client": client} if client else {}) | dict(overrides)
        self._own_words = own
        self._own: dict[str, Policy] = {}
        self._metrics = metrics
        self._store = Store(storage_url, metrics)
        self._clients = self.of_operation(document)
        app.extensions["limits"] = self

    def policy(self, declared: dict[str, Any], number: int = 0) -> Policy:
        """A policy that `x-rate-limit` declares, with its limit of the settings if there is one.

        `number` counts the limits of one policy from 0, as `;` separates them in the settings.
        Raises ValueError for what nothing enforces.
        """
        name, per = declared["policy"], declared["per"]
        only_failures = declared.get("counts") == "failures"
        own = self._own_words
        if per not in _PER | own or declared.get("counts") not in _COUNTS | own:
            raise ValueError(f"x-rate-limit {declared} is not enforced")
        override = self._overrides.get(name)
        items = parse_many(override.split(";")[number] if override else declared["limit"])
        header = ", ".join(f'"{name}";q={item.amount};w={item.get_expiry()}' for item in items)
        for outcome in OUTCOMES:
            self._metrics.expect("limiter_decisions_total", name, outcome)
        return Policy(name, per, tuple(_by_network(items)), only_failures, header)

    def of_operation(self, declared: dict[str, Any]) -> list[Policy]:
        """The policies of an operation, or of the whole document, without those that the service
        counts itself."""
        entries = list(declared_limits(declared))
        names = [entry["policy"] for entry in entries]
        policies = [
            self.policy(entry, names[:place].count(entry["policy"]))
            for place, entry in enumerate(entries)
        ]
        own = [
            policy
            for policy, entry in zip(policies, entries, strict=True)
            if self._own_words & {entry["per"], entry.get("counts")}
        ]
        for policy in own:
            same = [each.by_network for each in own if each.name == policy.name]
            by_network = tuple(tuple(chain(*items)) for items in zip(*same, strict=True))
            self._own[policy.name] = policy._replace(by_network=by_network)
        return [policy for policy in policies if policy not in own]

    async def count_client(self, request: Request) -> None:
        """Count a request against its client address; raises `RateLimited`."""
        await self.count(request, self._clients)

    async def count_malformed(self, ip: str) -> None:
        """Count what came from an address and is no HTTP: only the connection knows of it."""
        if self.enabled:
            keys = [_networks(ip)] * len(self._clients)
            left = await self._store.ask(partial(_hit_all, self._clients, keys))
            self._decided(self._clients, left)

    async def count(self, request: Request, policies: list[Policy]) -> None:
        """Count a request against policies and note what is left; raises `RateLimited`."""
        if not self.enabled or not policies:
            return
        keys = [_keys(policy, request) for policy in policies]
        left = await self._store.ask(partial(_hit_all, policies, keys))
        self._note(request, policies, left)

    async def only_failures(
        self, request: Request, policies: list[Policy], answering: Awaitable[Answering]
    ) -> Answering:
        """The answer that is awaited; unless it is a 401, policies get back what `count` took."""
        has_failed = False
        try:
            return await answering
        except Problem as problem:
            has_failed = isinstance(problem, Unauthorized) and problem.is_failure
            raise
        finally:
            if self.enabled and not has_failed:
                keys = [_keys(policy, request) for policy in policies]
                left = await self._store.ask(partial(_give_back_all, policies, keys))
                self._correct(request, policies, left)

    def amounts(self, name: str) -> list[tuple[int, int]]:
        """The limits of a policy that the service counts itself, as amounts and seconds; none if
        limits are off."""
        if not self.enabled:
            return []
        return [(item.amount, item.get_expiry()) for item in self._own[name].by_network[0]]

    def decided(self, name: str, allowed: bool) -> None:
        """Note in the metrics what was decided elsewhere about a policy."""
        outcome = "allowed" if allowed else "refused"
        self._metrics.count("limiter_decisions_total", name, outcome)

    def count_own(self, name: str) -> None:
        """Count against a policy of the service's own; raises `RateLimited`."""
        if self.enabled:
            policy, request = self._own[name], current_request.get()
            hit = partial(_hit_all, [policy], [_keys(policy, request)])
            self._note(request, [policy], self._store.ask_from_thread(hit))

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

    def _note(self, request: Request, policies: list[Policy], left: Left) -> None:
        """Note what is left of policies, for the answer's headers; raises `RateLimited`."""
        for policy, (remaining, reset) in zip(policies, left, strict=False):
            state = f'"{policy.name}";r={max(remaining, 0)};t={reset}'
            request.limits.append((policy.header, state))
        if not self._decided(policies, left):
            raise RateLimited(retry_after=left[-1][1])

    def _correct(self, request: Request, policies: list[Policy], left: Left) -> None:
        """Replace what was noted of policies."""
        for policy, (remaining, reset) in zip(policies, left, strict=True):
            state = f'"{policy.name}";r={remaining};t={reset}'
            request.limits = [
                (header, state if header == policy.header else noted)
                for header, noted in request.limits
            ]

    def _decided(self, policies: list[Policy], left: Left) -> bool:
        """Whether all policies have room; each decision is counted."""
        for policy, (remaining, _) in zip(policies, left, strict=False):
            outcome = "refused" if remaining < 0 else "allowed"
            self._metrics.count("limiter_decisions_total", policy.name, outcome)
        return left[-1][0] >= 0


def limits() -> Limits:
    """The running application's limits."""
    found: Limits = flask.current_app.extensions["limits"]
    return found


def _by_network(items: list[RateLimitItem]) -> Iterator[tuple[RateLimitItem, ...]]:
    """The limits of one client, of a site and of a provider's block."""
    for factor in (1, _SITE, _PROVIDER_BLOCK):
        yield tuple(type(item)(item.amount * factor, item.multiples) for item in items)


def _hit_all(policies: list[Policy], keys: list[Keys], strategy: RateLimiter) -> Left:
    """What is left of each policy, up to the first without room."""
    left = []
    for policy, its_keys in zip(policies, keys, strict=True):
        left.append(_hit(strategy, policy, its_keys))
        if left[-1][0] < 0:
            break
    return left


def _hit(strategy: RateLimiter, policy: Policy, keys: Keys) -> tuple[int, int]:
    """What `strategy` does for `hit` and `get_window_stats`, with one key for both.

    What is left is told of the client alone, unless it is a larger network that has no room.
    """
    storage: Any = strategy.storage
    left = []
    for items, key in zip(policy.by_network, keys, strict=False):
        for item in items:
            name, seconds = item.key_for(policy.name, key), item.get_expiry()
            room = storage.acquire_sliding_window_entry(name, item.amount, seconds)
            if not room or key == keys[0]:
                left.append(_state(storage, item, name, room))
            if not room:
                return left[-1]
    return min(left)


def _state(storage: Any, item: RateLimitItem, name: str, room: bool) -> tuple[int, int]:
    seconds = item.get_expiry()
    before, before_ends, count, ends = storage.get_sliding_window(name, seconds)
    remaining = item.amount - math.floor(before * before_ends / seconds + count)
    resets = [ends % seconds] if count else []
    if before:
        resets.append(before_ends % (seconds / before))
    return max(remaining, 0) if room else -1, max(1, math.ceil(min(resets, default=0)))


def _give_back_all(policies: list[Policy], keys: list[Keys], strategy: RateLimiter) -> Left:
    """What is left of each policy after a hit is undone."""
    return [_give_back(policy, own, strategy) for policy, own in zip(policies, keys, strict=True)]


def _give_back(policy: Policy, keys: Keys, strategy: RateLimiter) -> tuple[int, int]:
    """Undo a hit, in one step: it is a hit that counts -1."""
    storage: Any = strategy.storage
    left = []
    for items, key in zip(policy.by_network, keys, strict=False):
        for item in items:
            name = item.key_for(policy.name, key)
            storage.acquire_sliding_window_entry(name, item.amount, item.get_expiry(), -1)
            if key == keys[0]:
                left.append(_state(storage, item, name, room=True))
    return min(left)


def _remember(name: str, seconds: int, strategy: RateLimiter) -> None:
    storage: Any = strategy.storage
    storage.acquire_sliding_window_entry(name, _NO_LIMIT, seconds)


def _remembers(name: str, seconds: int, strategy: RateLimiter) -> bool:
    storage: Any = strategy.storage
    before, _, count, _ = storage.get_sliding_window(name, seconds)
    return bool(before + count)


def _keys(policy: Policy, request: Request) -> Keys:
    if policy.per == "ip" or request.claims is None:
        return _networks(request.ip)
    return (request.claims.holder if policy.per == "user" else request.claims.session_id,)


def _networks(ip: str) -> Keys:
    if ":" not in ip:
        return (ip,)
    return network(ip), network(ip, SITE), network(ip, PROVIDER_BLOCK)
