"""Named limits, the keys they count under, and what is left of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from limits import RateLimitItem

from service.engine.http.networks import PROVIDER_BLOCK, SITE, network
from service.engine.limits.hits import NO_LIMIT, Count, Hit
from service.engine.request import Request

# What an IPv6 /56 and /48 may do, as a multiple of one client's limit. Most households have one or
# two networks in their /56; a /48 is a company, or many subscribers of a mobile network.
_SITE, _PROVIDER_BLOCK = 4, 16
_KEY = "\0"  # stands for a key
Left = list[tuple[int, int]]  # per policy: what is left (-1: refused) and the seconds to the reset
Keys = tuple[str, ...]  # what a policy is counted under: for IPv6 clients also larger networks


class Window(NamedTuple):
    """A limit of so much in so many seconds, and what is before and after the key in the name of
    its count."""

    limit: int
    seconds: int
    start: str
    end: str


class Policy(NamedTuple):
    """One named limit: `per` is ip, user (or personal token), session, or a word of the service.

    `by_network` has the limits of each key, the client's first; all must have room. With
    `only_failures`, what was counted is given back unless the answer is a 401 that is a failure.
    `header` is the policy's item in `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
    """

    name: str
    per: str
    by_network: tuple[tuple[Window, ...], ...]
    only_failures: bool
    header: str


def by_network(name: str, items: list[RateLimitItem]) -> Iterator[tuple[Window, ...]]:
    """The limits of one client, of a site and of a provider's block."""
    for factor in (1, _SITE, _PROVIDER_BLOCK):
        larger = [type(item)(item.amount * factor, item.multiples) for item in items]
        yield tuple(
            Window(item.amount, item.get_expiry(), *item.key_for(name, _KEY).split(_KEY))
            for item in larger
        )


def hits_of(policies: list[Policy], keys: list[Keys], amount: int = 1) -> list[Hit]:
    return [
        # What is given back always has room.
        Hit(start + key + end, limit if amount > 0 else NO_LIMIT, seconds, amount)
        for policy, its_keys in zip(policies, keys, strict=True)
        for windows, key in zip(policy.by_network, its_keys, strict=False)
        for limit, seconds, start, end in windows
    ]


def left_of(policies: list[Policy], keys: list[Keys], counts: list[Count]) -> Left:
    """What is left of each policy, up to the first without room.

    That is what is left of the client's own limits, unless a larger network has no room.
    """
    left: Left = []
    following = iter(counts)
    for policy, its_keys in zip(policies, keys, strict=True):
        own = []
        for windows, key in zip(policy.by_network, its_keys, strict=False):
            for window in windows:
                count = next(following)
                if not count.has_room:
                    return [*left, (-1, _left(window, count)[1])]
                if key == its_keys[0]:
                    own.append(_left(window, count))
        left.append(min(own))
    return left


def _left(window: Window, count: Count) -> tuple[int, int]:
    """What is left, and the seconds until more is left."""
    _, last, last_ends, present, present_ends = count
    limit, seconds, _, _ = window
    remaining = limit - math.floor(last * last_ends / seconds + present)
    reset = 0.0
    if present:
        reset = present_ends % seconds or seconds
    if last:
        of_last = last_ends % (seconds / last)
        reset = min(reset, of_last) if present else of_last
    return max(remaining, 0), max(math.ceil(reset), 1)


def keys_of(policy: Policy, request: Request) -> Keys:
    if policy.per == "ip" or request.claims is None:
        return networks_of(request.ip)
    return (request.claims.holder if policy.per == "user" else request.claims.session_id,)


def networks_of(ip: str) -> Keys:
    if ":" not in ip:
        return (ip,)
    return network(ip), network(ip, SITE), network(ip, PROVIDER_BLOCK)
