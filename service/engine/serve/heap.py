"""Gives large blocks of memory back to the system as soon as they are free."""

from __future__ import annotations

import ctypes
from contextlib import suppress

LARGE_BLOCK_BYTES = 128 * 1024  # glibc's own initial threshold
_M_MMAP_THRESHOLD = -3  # of its malloc.h


def release_large_blocks() -> None:
    """Stop glibc from raising the size from which a block gets a mapping of its own.

    It does so with the first large answer. From then on large blocks share the heap with small
    ones, which keep it from shrinking: after a burst the process stays several times as large.
    """
    with suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
