"""What is asked of a store: hits, each with its window; and the script that answers them.

One call counts all hits of a request, up to the first without room. Keys and arithmetic are those
of the scripts of `limits` (acquire_sliding_window.lua and sliding_window.lua), so that processes of
an older release count together with this one.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple

NO_LIMIT = 10**9


class Late(Exception):
    """The store has not answered yet; it may still count what it was asked to."""


class NotAsked(Late):
    """There was nobody to ask yet, so the store does not count it."""


class Hit(NamedTuple):
    """Count `amount` for a name, unless more than `limit` of `seconds` would then be counted.

    An amount of 0 only looks, and a negative one gives back.
    """

    name: str
    limit: int
    seconds: int
    amount: int = 1


class Count(NamedTuple):
    """The windows of a name after a hit: of the last one, and of the present one, the number and
    the seconds until it does not count any more."""

    has_room: bool
    last: int
    last_ends: float
    present: int
    present_ends: float


_SCRIPT = b"""\
local counts = {}
for i = 1, #ARGV, 3 do
    local last, present = KEYS[(i + 2) / 3 * 2 - 1], KEYS[(i + 2) / 3 * 2]
    local limit, expiry, amount = tonumber(ARGV[i]), ARGV[i + 1] * 1000, tonumber(ARGV[i + 2])
    local present_ends = redis.call('pttl', present)
    if present_ends > 0 and present_ends < expiry then
        redis.call('rename', present, last)
        present_ends = present_ends + expiry
        redis.call('set', present, 0, 'px', present_ends)
    end
    local present_count = tonumber(redis.call('get', present) or 0)
    local last_count = tonumber(redis.call('get', last) or 0)
    local last_ends = last_count == 0 and 0 or math.max(redis.call('pttl', last), 0)
    local has_room = 0
    if math.floor(last_count * last_ends / expiry) + present_count + amount <= limit then
        has_room = 1
        if present_ends > 0 and amount ~= 0 then
            redis.call('incrby', present, amount)
        elseif amount ~= 0 then
            present_ends = expiry * 2
            redis.call('set', present, amount, 'px', present_ends)
        end
        present_count = present_count + amount
    end
    table.insert(counts, table.concat(
        {has_room, last_count, last_ends, present_count, math.max(present_ends, 0)}, ' '))
    if has_room == 0 then break end
end
return table.concat(counts, ' ')
"""
_NAME = hashlib.sha1(_SCRIPT, usedforsecurity=False).hexdigest().encode()
_BY_NAME = b"*%d\r\n$7\r\nEVALSHA\r\n$40\r\n" + _NAME + b"\r\n"
_KEYS = b"$%d\r\n%b/-1\r\n$%d\r\n%b\r\n"  # the last window's and the present one's
_WHOLE = b"*%d\r\n$4\r\nEVAL\r\n" + b"$%d\r\n" % len(_SCRIPT) + _SCRIPT + b"\r\n"


def question(hits: list[Hit]) -> bytes:
    """The command for a store that knows the script."""
    keys = arguments = b""
    for name, limit, seconds, amount in hits:
        present = counted_key(name)
        keys += _KEYS % (len(present) + 3, present, len(present), present)
        arguments += _arguments(limit, seconds, amount)
    number = len(hits)
    return _BY_NAME % (3 + 5 * number) + _bulk(b"%d" % (2 * number)) + keys + arguments


def counted_key(name: str) -> bytes:
    """The key of the present window; in a cluster, the braces keep that of the last with it."""
    return b"LIMITS:{%b}" % name.encode()


def with_script(question: bytes) -> bytes:
    """The same for a store that does not know it, and knows it from then on."""
    start = _BY_NAME.partition(b"\r\n")[2]
    number, _, rest = question.partition(b"\r\n")
    return _WHOLE.replace(b"*%d", number, 1) + rest.removeprefix(start)


def command(*parts: str | int) -> bytes:
    """Any other command."""
    return b"*%d\r\n" % len(parts) + b"".join(_bulk(str(part).encode()) for part in parts)


def counts(answer: bytes) -> list[Count]:
    """What the script answers."""
    numbers = map(int, answer.split())
    return [
        Count(room == 1, last, last_ms / 1000, present, present_ms / 1000)
        for room, last, last_ms, present, present_ms in zip(*[numbers] * 5, strict=True)
    ]


@lru_cache(1024)
def _arguments(*numbers: int) -> bytes:
    return b"".join(_bulk(b"%d" % number) for number in numbers)


def _bulk(part: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(part), part)
