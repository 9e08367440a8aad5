"""Limits the mails to a recipient, so that no mailbox is flooded and no kind of mail is crowded
out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from service.domain.mails import NOTICES

# The divisor of each total limit that gives the part kept free for mails that a stranger must not
# be able to prevent: resets, and notices about an account, but for the one that strangers cause.
_RESERVED = ((frozenset({"password-reset"}), 3), (NOTICES - {"sign-in-blocked"}, 6))


class Limit(NamedTuple):
    """At most `amount` mails in any `seconds`."""

    amount: int
    seconds: int


class Sent(NamedTuple):
    """A mail sent to a recipient: its kind, and its time in seconds since the epoch."""

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
    """Whether a recipient who has been `sent` these mails may get one more now."""
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
    """The part of a limit that is kept free for other kinds."""
    return sum(
        max(0, limit.amount // part - sum(mail.kind in kinds for mail in recent))
        for kinds, part in _RESERVED
        if kind not in kinds
    )
