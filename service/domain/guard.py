"""How many guesses at a password there may be: the rules, without clock, database and HTTP.

A stranger is a network from which nobody has signed in to the account lately. Guesses are counted
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
    """So many failures in so many seconds."""

    amount: int
    seconds: int


class Rules(NamedTuple):
    """`network` holds for an account and a network, `strangers` and `in_a_row` for an account and
    all strangers."""

    network: Limit
    strangers: Limit
    in_a_row: int


class Failure(NamedTuple):
    """An attempt that has failed, or is being made: when, in seconds, and from where."""

    at: float
    network: str
    is_stranger: bool


class Refusal(NamedTuple):
    """`by_strangers` says that it is not about this network alone; `wait` is in seconds."""

    by_strangers: bool
    wait: float


@dataclass
class History:
    """The failures of one account that still count, oldest first.

    `in_a_row` are the strangers' since the last success, of which `last` was the latest. `told` is
    when the owner was told last that an attempt was refused.
    """

    failures: list[Failure] = field(default_factory=list)
    in_a_row: int = 0
    last: float = 0
    told: float = 0

    @classmethod
    def loads(cls, text: str) -> History:
        """The history that `dumps` has written down."""
        kept = json.loads(text)
        failures = [Failure(*failure) for failure in kept.pop("failures", [])]
        return cls(failures, **kept)

    def dumps(self) -> str:
        return json.dumps(asdict(self) | {"failures": self.failures}, separators=(",", ":"))

    def refusal(self, rules: Rules, attempt: Failure) -> Refusal | None:
        """Why the attempt may not be made, if it may not: what takes longest to pass."""
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
        """Count an attempt before it is made, and forget what does not count any more."""
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
        """Forget the failures of a network that has come with the right password."""
        self.failures = [failure for failure in self.failures if failure.network != network]
        self.in_a_row = 0

    def left(self, rules: Rules, attempt: Failure) -> tuple[int, float]:
        """How many more attempts may fail from this network alone, and the seconds until there is
        room for one more than that."""
        own = [failure for failure in self.failures if failure.network == attempt.network]
        recent = _recent(rules.network, own, attempt.at)
        return rules.network.amount - len(recent), recent[0] + rules.network.seconds - attempt.at

    def must_tell(self, moment: float) -> bool:
        """Whether the owner is to be told of a refusal: the first time in a day."""
        if moment - self.told < _DAY_SECONDS:
            return False
        self.told = moment
        return True

    def expires_at(self, rules: Rules) -> float:
        """From when on nothing of this matters any more."""
        longest = max(rules.network.seconds, rules.strangers.seconds)
        return max(
            self.failures[-1].at + longest if self.failures else 0,
            self.last + self._lapse(rules),
            self.told + _DAY_SECONDS,
        )

    def _in_a_row(self, rules: Rules, moment: float) -> int:
        return self.in_a_row if moment - self.last < self._lapse(rules) else 0

    def _lapse(self, rules: Rules) -> float:
        """Seconds without a failure after which those in a row are forgotten.

        A day for each, so that guesses at random addresses are not kept for long, and
        SHUT_OUT_SECONDS once they are too many.
        """
        return SHUT_OUT_SECONDS if self.in_a_row >= rules.in_a_row else self.in_a_row * _DAY_SECONDS


def _recent(limit: Limit, failures: Iterable[Failure], moment: float) -> list[float]:
    return [failure.at for failure in failures if moment - failure.at < limit.seconds]


def _wait(limit: Limit, failures: Iterable[Failure], moment: float) -> float:
    """Seconds until there is room for one more."""
    recent = _recent(limit, failures, moment)
    return recent[-limit.amount] + limit.seconds - moment if len(recent) >= limit.amount else 0
