"""Numbers that the processes of a machine share: each writes its own in memory, and all read all.

A process that ends leaves its file to the one that takes its place, so that what it has counted is
not lost.
"""

from __future__ import annotations

import mmap
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

CounterKey = tuple[str, ...]

_MAGIC = b"NUMBERS\n"
_KEYS = 16  # where the keys begin, a line each; before them are the magic and how long they are
_VALUES = 128 * 1024  # where the numbers begin, in the order of the keys
_SLOTS = 4096
_SIZE = _VALUES + 8 * _SLOTS


class Numbers:
    """Numbers by key; `values[slot(key)] += 1` is for one thread at a time, `add` for all.

    The slot of a key is good until `share`. What has no room any more is counted in a slot that
    nobody reads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._path: Path | None = None
        self._file = -1
        self._take(mmap.mmap(-1, _SIZE))
        self._memory[: len(_MAGIC)] = _MAGIC

    def slot(self, key: CounterKey) -> int:
        """Where the number of this key is."""
        found = self._slots.get(key)
        if found is None:
            with self._lock:
                found = self._slot(key)
        return found

    def add(self, key: CounterKey, amount: float) -> None:
        with self._lock:
            slot = self._slots.get(key)
            if slot is None:
                slot = self._slot(key)
            self.values[slot] += amount

    def set(self, key: CounterKey, value: float) -> None:
        with self._lock:
            self.values[self._slot(key)] = value

    def share(self, folder: Path, *, lasts: Callable[[CounterKey], bool]) -> None:
        """Count in a file in `folder` from now on: in one whose process has gone, of which it keeps
        the numbers that last, or in a new one. Raises OSError."""
        import fcntl  # which only Unix has

        with self._lock:
            before = self._own()
            for path in sorted(folder.glob("*.numbers")):
                file = os.open(path, os.O_RDWR)
                with suppress(BlockingIOError):  # its process lives
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _is_ours(os.pread(file, _SIZE, 0)):
                        break
                os.close(file)
            else:
                path = folder / f"{secrets.token_hex(8)}.numbers"
                file = _new(path, fcntl.flock, fcntl.LOCK_EX)
            self._folder, self._path, self._file = folder, path, file
            self._take(mmap.mmap(file, _SIZE))
            for key, slot in self._slots.items():
                if not lasts(key):
                    self.values[slot] = 0
            for key, value in before.items():
                self.values[self._slot(key)] += value

    def close(self) -> None:
        """Leave the file to another process; what is counted from here on may be lost."""
        if self._file >= 0:
            import fcntl

            fcntl.flock(self._file, fcntl.LOCK_UN)  # first: the memory has the file open as well
            os.close(self._file)
            self._file = -1

    def everybodys(self) -> Iterator[tuple[bool, dict[CounterKey, float]]]:
        """Of each process that shares, this one first, whether it lives, and its numbers."""
        with self._lock:
            own = self._own()
        yield True, own
        if self._folder is None:
            return
        import fcntl

        for path in self._folder.glob("*.numbers"):
            if path == self._path:
                continue
            lives = True
            with path.open("rb") as file:
                data = file.read(_SIZE)
                with suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    lives = False
            if _is_ours(data):
                values = memoryview(data)[_VALUES:].cast("d")
                yield lives, {key: values[slot] for key, slot in _slots(data).items()}

    def _own(self) -> dict[CounterKey, float]:
        return {key: self.values[slot] for key, slot in self._slots.items()}

    def _take(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._slots = _slots(memory)
        self.values = memoryview(memory)[_VALUES:].cast("d")

    def _slot(self, key: CounterKey) -> int:
        found = self._slots.get(key)
        if found is not None:
            return found
        line = "\t".join(key).encode() + b"\n"
        length = int.from_bytes(self._memory[8:_KEYS], "little")
        start = _KEYS + length
        if start + len(line) > _VALUES or len(self._slots) == _SLOTS - 1:
            return _SLOTS - 1
        self._memory[start : start + len(line)] = line
        self._memory[8:_KEYS] = (length + len(line)).to_bytes(8, "little")
        return self._slots.setdefault(key, len(self._slots))


def _is_ours(data: bytes) -> bool:
    return len(data) == _SIZE and data.startswith(_MAGIC)


def _slots(data: bytes | mmap.mmap) -> dict[CounterKey, int]:
    end = _KEYS + int.from_bytes(data[8:_KEYS], "little")
    lines = data[_KEYS:end].decode().splitlines()
    return {tuple(line.split("\t")): slot for slot, line in enumerate(lines)}


def _new(path: Path, lock: Callable[[int, int], None], exclusive: int) -> int:
    """A file that nobody sees before it is whole and locked."""
    unfinished = path.with_suffix(".new")
    file = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    lock(file, exclusive)
    # Written out: with holes in it, memory would fail when the disk is full.
    os.write(file, _MAGIC.ljust(_SIZE, b"\0"))
    unfinished.rename(path)
    return file
