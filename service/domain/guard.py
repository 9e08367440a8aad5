"""The rules that limit guesses at a password, without a clock, a database or HTTP.

A stranger is a network from which nobody has recently signed in to the account. Guesses are counted
for the account and the network, and for the account over all strangers: by the hour, and in a row
since the last success. Strangers with too many in a row are shut out until somebody succeeds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

_DAY_SECONDS = 86_400
SHUT_OUT_SECONDS = 90 * _DAY_SECONDS  # after which even strangers may try again


class Limit(NamedTuple):
    """At most `amount` failures in any `seconds`."""

    amount: int
    seconds: int


class Rules(NamedTuple):
    """`network` applies to an account and one network; `strangers` and `in_a_row` to an account and
    all strangers."""

    network: Limit
    strangers: Limit
    in_a_row: int


class Failure(NamedTuple):
    """A failed or pending attempt: its time in seconds, and where it came from."""

    at: float
    network: str
    is_stranger: bool


class Refusal(NamedTuple):
    """`by_strangers`: the limit over all strangers was reached; `wait` is in seconds."""

    by_strangers: bool
    wait: float


@dataclass
class History:
    """The failures of one account that still count, oldest first.

    `in_a_row` is the number of strangers' failures since the last success, `last` the time of the
    latest of them, and `told` the time of the last notice to the owner about a refusal.
    """

    failures: list[Failure] = field(default_factory=list)
    in_a_row: int = 0
    last: float = 0
    told: float = 0

    @classmethod
    def loads(cls, text: str) -> History:
        """The history that `dumps` has serialised."""
        kept = json.loads(text)
        failures = [Failure(*failure) for failure in kept.pop("failures", [])]
        return cls(failures, **kept)

    def dumps(self) -> str:
        return json.dumps(asdict(self) | {"failures": self.failures}, separators=(",", ":"))

    def refusal(self, rules: Rules, attempt: Failure) -> Refusal | None:
        """The refusal with the longest wait, or None if the attempt may be made."""
        own = [failure for failure in self.failures if failure.network == attempt.network]
        waits = [(_wait(rules.network, own, attempt.at), False)]
        if attempt.is_stranger:
            strangers = [failure for failure in self.failures if failure.is_stranger]
            waits.append((_wait(rules.strangers, strangers, attempt.at), True))
            if self._in_a_row(rules, attempt.at) >= rules.in_a_row:
                waits.append((self.last + SHUT_OUT_SECONDS - attempt.at, True))
        wait, by_strangers = max(waits)
        return Refusal(by_strangers, wait) if wait > 0 else None

    def add(self, rules: Rules, attempt: Failure) -> None:
        """Count an attempt before it is made, and drop failures that no longer count."""
        longest = max(rules.network.seconds, rules.strangers.seconds)
        self.failures = [one for one in self.failures if attempt.at - one.at < longest]
        self.failures.append(attempt)
        if attempt.is_stranger:
            self.in_a_row = self._in_a_row(rules, attempt.at) + 1
            self.last = attempt.at

    def take_back(self, attempt: Failure) -> None:
        """Undo `add` for an attempt that was not made after all."""
        if attempt in self.failures:
            self.failures.remove(attempt)
            self.in_a_row = max(0, self.in_a_row - attempt.is_stranger)

    def succeed(self, network: str) -> None:
        """Clear the failures of a network that has sent the correct password."""
        self.failures = [failure for failure in self.failures if failure.network != network]
        self.in_a_row = 0

    def left(self, rules: Rules, attempt: Failure) -> tuple[int, float]:
        """The number of attempts that may still fail from this network, and the seconds until one
        more is allowed."""
        own = [failure for failure in self.failures if failure.network == attempt.network]
        recent = _recent(rules.network, own, attempt.at)
        return rules.network.amount - len(recent), recent[0] + rules.network.seconds - attempt.at

    def must_tell(self, moment: float) -> bool:
        """Whether to notify the owner of a refusal: only of the first in a day."""
        if moment - self.told < _DAY_SECONDS:
            return False
        self.told = moment
        return True

    def expires_at(self, rules: Rules) -> float:
        """The time after which nothing of this counts."""
        longest = max(rules.network.seconds, rules.strangers.seconds)
        return max(
            self.failures[-1].at + longest if self.failures else 0,
            self.last + self._lapse(rules),
            self.told + _DAY_SECONDS,
        )

    def _in_a_row(self, rules: Rules, moment: float) -> int:
        return self.in_a_row if moment - self.last < self._lapse(rules) else 0

    def _lapse(self, rules: Rules) -> float:
        """Seconds without a failure after which the failures in a row are dropped: a day for each,
        so that guesses at random addresses are not kept for long, and SHUT_OUT_SECONDS once there
        are too many."""
        return SHUT_OUT_SECONDS if self.in_a_row >= rules.in_a_row else self.in_a_row * _DAY_SECONDS


def _recent(limit: Limit, failures: Iterable[Failure], moment: float) -> list[float]:
    return [failure.at for failure in failures if moment - failure.at < limit.seconds]


def _wait(limit: Limit, failures: Iterable[Failure], moment: float) -> float:
    """Seconds until one more attempt is allowed."""
    recent = _recent(limit, failures, moment)
    return recent[-limit.amount] + limit.seconds - moment if len(recent) >= limit.amount else 0
