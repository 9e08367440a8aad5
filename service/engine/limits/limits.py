"""Rate limits, driven by the specification."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from itertools import chain
from typing import Any, TypeVar

import flask
from limits import parse_many

from service.engine.limits.hits import NO_LIMIT, Hit
from service.engine.limits.policies import (
    Left,
    Policy,
    by_network,
    hits_of,
    keys_of,
    left_of,
    networks_of,
)
from service.engine.limits.store import Store
from service.engine.observe.catalogue import OUTCOMES
from service.engine.observe.metrics import Metrics
from service.engine.problems import Problem, RateLimited, Unauthorized
from service.engine.request import Request, current_request
from service.engine.spec.specification import limits as declared_limits

_PER = {"ip", "user", "session"}
_COUNTS = {None, "failures"}
Answering = TypeVar("Answering")


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
        return Policy(name, per, tuple(by_network(name, items)), only_failures, header)

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
        """Count a request against its client address; raises `RateLimited`.

        Where that takes a round trip, it is left to the next `count`, which makes one for both.
        """
        if self.enabled:
            request.owes_client_count = True
            if not self._store.is_shared or request.method == "OPTIONS":  # which routing answers
                await self.count(request, [])

    async def settle(self, request: Request) -> None:
        """Count a request that is refused before any `count`; raises `RateLimited`."""
        if request.owes_client_count:
            await self.count(request, [])

    async def count_malformed(self, ip: str) -> None:
        """Count what came from an address and is no HTTP: only the connection knows of it."""
        if self.enabled:
            keys = [networks_of(ip)] * len(self._clients)
            counts = await self._store.ask(hits_of(self._clients, keys))
            self._decided(self._clients, left_of(self._clients, keys, counts))

    async def count(self, request: Request, policies: list[Policy]) -> None:
        """Count a request against policies and note what is left; raises `RateLimited`."""
        if request.owes_client_count:
            request.owes_client_count = False
            policies = self._clients + policies
        if not self.enabled or not policies:
            return
        keys = [keys_of(policy, request) for policy in policies]
        counts = await self._store.ask(hits_of(policies, keys))
        self._note(request, policies, left_of(policies, keys, counts))

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
                keys = [keys_of(policy, request) for policy in policies]
                counts = await self._store.ask(hits_of(policies, keys, -1))
                self._correct(request, policies, left_of(policies, keys, counts))

    def amounts(self, name: str) -> list[tuple[int, int]]:
        """The limits of a policy that the service counts itself, as amounts and seconds; none if
        limits are off."""
        if not self.enabled:
            return []
        return [(window.limit, window.seconds) for window in self._own[name].by_network[0]]

    def decided(self, name: str, allowed: bool) -> None:
        """Note in the metrics what was decided elsewhere about a policy."""
        outcome = "allowed" if allowed else "refused"
        self._metrics.count("limiter_decisions_total", name, outcome)

    def count_own(self, name: str) -> None:
        """Count against a policy of the service's own; raises `RateLimited`."""
        if self.enabled:
            policies, request = [self._own[name]], current_request.get()
            keys = [keys_of(policies[0], request)]
            counts = self._store.ask_from_work(hits_of(policies, keys))
            self._note(request, policies, left_of(policies, keys, counts))

    def remember(self, name: str, seconds: int) -> None:
        """Remember a name for so many seconds at least, and for twice as many at most."""
        self._store.ask_from_work([Hit(name, NO_LIMIT, seconds)])

    def remembers(self, name: str, seconds: int) -> bool:
        """Whether a name is remembered, or may be: the store may have failed to hear of it."""
        [count] = self._store.ask_from_work([Hit(name, NO_LIMIT, seconds, 0)])
        return bool(count.last + count.present) or self._store.missed_hits(seconds)

    def is_degraded(self) -> bool:
        """Whether the shared store fails, so that limits hold for each process alone."""
        return not self._store.works()

    def start(self) -> None:
        """Answer code that is no coroutine, too; the event loop must be running."""
        self._store.start()

    async def close(self) -> None:
        """End the connections to the store."""
        await self._store.close()

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
