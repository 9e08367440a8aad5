"""Decides which replaced refresh tokens still return the current pair, and which count as stolen.

RFC 9700, section 4.14.2, has a replaced token end the session. Two exceptions keep honest clients
signed in: an answer may be lost, and two tabs may refresh at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

GRACE = timedelta(seconds=10)  # for two tabs
NOWHERE = ("", "unknown")  # values that unrelated clients may share


class Place(NamedTuple):
    """Where a refresh comes from: a network, and a user agent as it is stored."""

    network: str
    user_agent: str


class Rotation(NamedTuple):
    """The last rotation of a session: what it was replaced by, and what became of that.

    `seen` is the latest generation of which a token was presented. `network` and `user_agent` are
    None where the version before did not write them down.
    """

    generation: int
    seen: int
    at: str
    network: str | None
    user_agent: str | None


def may_repeat(rotation: Rotation, generation: int, place: Place, now: datetime) -> bool:
    """Whether a refresh token of `generation` gets the current pair again.

    The immediate predecessor does as long as its successor has not been presented, because then the
    answer was lost; and for `GRACE` after the rotation, from the same network or user agent.
    """
    if generation != rotation.generation - 1:
        return False
    if rotation.seen < rotation.generation:
        return True
    return now - datetime.fromisoformat(rotation.at) <= GRACE and _is_same_place(rotation, place)


def _is_same_place(rotation: Rotation, place: Place) -> bool:
    if rotation.network is None:
        return True
    return (place.network == rotation.network and place.network not in NOWHERE) or (
        place.user_agent == rotation.user_agent and place.user_agent not in NOWHERE
    )
