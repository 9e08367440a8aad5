"""Lets threads that compute give way to those that answer."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def lower_priority(nice: int) -> None:
    """Give this thread at least that nice value, where threads have one and may change it."""
    if nice and sys.platform == "linux":
        with suppress(OSError):  # a seccomp filter may forbid it
            # 0 is this thread. A lower value than it has would need CAP_SYS_NICE.
            os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
