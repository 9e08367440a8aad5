"""Rate limits counted in this process's memory: per key, what was in the last window and in this.

Replaces limits' MemoryStorage, which under load starts a thread every 10 ms that walks all keys.
"""

from __future__ import annotations

import time
from math import floor
from typing import Any

from limits.storage import MemoryStorage

from service.engine.limits.hits import Count, Hit


class Windows(MemoryStorage):
    """The storage behind `process://`, for the strategy sliding-window-counter.

    All keys of one length of window begin their windows together, so what is over is dropped whole.
    Callers take turns.
    """

    STORAGE_SCHEME = ["process"]  # noqa: RUF012 # declared as an attribute of instances

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._windows: dict[int, _Window] = {}

    def hit(self, hits: list[Hit]) -> list[Count]:
        """The counts of hits, up to the first without room."""
        counts: list[Count] = []
        for name, limit, seconds, amount in hits:
            window, share = self._at_present(seconds)
            last, present = window.previous.get(name, 0), window.current.get(name, 0)
            has_room = floor(last * share) + present + amount <= limit
            if has_room and amount:
                present += amount
                window.current[name] = present
            left = share * seconds
            counts.append(Count(has_room, last, left, present, left + seconds))
            if not has_room:
                break
        return counts

    def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        window, share = self._at_present(expiry)
        count = window.current.get(key, 0) + amount
        if floor(window.previous.get(key, 0) * share) + count > limit:
            return False
        window.current[key] = count
        return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        window, share = self._at_present(expiry)
        left = share * expiry
        return window.previous.get(key, 0), left, window.current.get(key, 0), left + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        window, _ = self._at_present(expiry)
        window.previous.pop(key, None)
        window.current.pop(key, None)

    def _at_present(self, expiry: int) -> tuple[_Window, float]:
        """The window of this moment, and the share of the last one that still counts."""
        number, passed = divmod(time.time(), expiry)
        window = self._windows.get(expiry)
        if window is None:
            window = self._windows[expiry] = _Window(number)
        elif window.number > number:  # the clock was set back: keep what is counted, and go on
            window.number = number
        elif window.number < number:
            window.previous = window.current if window.number == number - 1 else {}
            window.current = {}
            window.number = number
        return window, 1 - passed / expiry


class _Window:
    __slots__ = ("current", "number", "previous")

    def __init__(self, number: float) -> None:
        self.number = number
        self.previous: dict[str, int] = {}
        self.current: dict[str, int] = {}
