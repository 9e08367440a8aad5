"""UUIDv7 ids and the times that are in them: order by id is order of creation."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

NOBODY = "00000000-0000-0000-0000-000000000000"  # the nil UUID (RFC 9562, section 5.9)


def now() -> str:
    """This moment in RFC 3339."""
    return rfc3339(datetime.now(UTC))


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds and `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339_of_postgresql(text: str) -> str:
    """RFC 3339 in UTC with milliseconds of what PostgreSQL writes with DateStyle ISO and in UTC,
    such as `2026-11-30 09:41:00.5+00`."""
    if len(text) == 26:  # milliseconds
        return f"{text[:10]}T{text[11:23]}Z"
    if text[19:20] == "." and len(text) < 26:  # a fraction ends with its last digit that is not 0
        return f"{text[:10]}T{text[11:-3]:0<12}Z"
    return rfc3339(datetime.fromisoformat(text))


_last_number = 0
_number_lock = threading.Lock()


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562, 5.7 and 6.2), later than every other that this process has made."""
    global _last_number
    with _number_lock:
        chance = os.urandom(14)
        fresh = time.time_ns() // 1_000_000 << 74 | int.from_bytes(chance[:10]) >> 6
        _last_number = max(fresh, _last_number + 1 + int.from_bytes(chance[10:]))
        return _uuid7(_last_number)


def _uuid7(number: int) -> UUID:
    """48 bits of milliseconds and 74 of chance, with version and variant set in between."""
    a, b = number >> 62 & 0xFFF, number & (1 << 62) - 1
    return UUID(int=number >> 74 << 80 | 0x7 << 76 | a << 64 | 0x2 << 62 | b)


def created_at(id_: UUID) -> str:
    """The moment that a UUIDv7 was made, to the millisecond."""
    return rfc3339(datetime.fromtimestamp((id_.int >> 80) / 1000, UTC))


def first_id_from(moment: datetime) -> UUID:
    """The smallest UUIDv7 not made before `moment`, to select by time on the primary key."""
    return _first_id(-((_EPOCH - moment) // _MILLISECOND))


def first_id_after(moment: datetime) -> UUID:
    """The smallest UUIDv7 made after `moment`."""
    return _first_id((moment - _EPOCH) // _MILLISECOND + 1)


_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)


def _first_id(milliseconds: int) -> UUID:
    return _uuid7(min(max(milliseconds, 0), (1 << 48) - 1) << 74)
