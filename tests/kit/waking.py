"""Wakes background work, which tests make due by changing rows: no request announces that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from service.engine.work.background import Background
from tests.kit.smtp import until

_started: WeakSet[Background] = WeakSet()


def remembered(start: Callable[[Background], None]) -> Callable[[Background], None]:
    """`Background.start`, which `wake` finds later."""

    def _start(work: Background) -> None:
        _started.add(work)
        start(work)

    return _start


def wake() -> None:
    """Have all services of this process look for work now."""
    for work in list(_started):
        work.wake()


def until_done(holds: Callable[[], Any]) -> None:
    """Wait until a condition holds, as `until` does, while services look for work again and again,
    also after a failure."""

    def _holds() -> Any:
        wake()
        return holds()

    until(_holds)
