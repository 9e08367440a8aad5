"""How many mails a recipient gets: no mailbox is flooded, and no kind of mail is crowded out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from service.domain.mails import NOTICES

# One part in this many of each total limit is kept free for the mails that a
# stranger must not be able to keep back: resets, and notices of what was done to an account.
_RESERVED = ((frozenset({"password-reset"}), 3), (NOTICES, 6))


class Limit(NamedTuple):
    """At most `amount` mails in any `seconds`."""

    amount: int
    seconds: int


class Sent(NamedTuple):
    """A mail that a recipient was sent: its kind, and when, in seconds since the epoch."""

    kind: str
    at: float


def allows(
    kind: str,
    sent: Sequence[Sent],
    moment: float,
    *,
    of_one_kind: Iterable[Limit],
    in_all: Iterable[Limit],
) -> bool:
    """Whether a recipient who was `sent` these mails may be sent one more at this moment."""
    for limit in of_one_kind:
        if sum(mail.kind == kind for mail in _recent(sent, moment, limit)) >= limit.amount:
            return False
    return all(
        len(recent := _recent(sent, moment, limit)) + _kept_free(kind, recent, limit) < limit.amount
        for limit in in_all
    )


def _recent(sent: Sequence[Sent], moment: float, limit: Limit) -> list[Sent]:
    return [mail for mail in sent if mail.at > moment - limit.seconds]


def _kept_free(kind: str, recent: list[Sent], limit: Limit) -> int:
    """How much of a limit is kept free for others than this kind."""
    return sum(
        max(0, limit.amount // part - sum(mail.kind in kinds for mail in recent))
        for kinds, part in _RESERVED
        if kind not in kinds
    )
