"""A small disk for one test, which the test can fill."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PAGE = 4096  # bytes: a file takes whole pages


class Disk:
    """A file system in memory, at a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @property
    def free(self) -> int:
        """Free bytes."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def fill(self, but: int = 0) -> None:
        """Fill the disk, but for so many bytes."""
        with self._ballast.open("ab") as ballast, suppress(OSError):
            while self.free > but:
                ballast.write(b"x" * min(self.free - but, 2**20))
                ballast.flush()

    def make_room(self) -> None:
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Disk]:
    """A disk of so many bytes, mounted at this new folder until the block ends.

    Mounting needs root, or sudo without a password; otherwise the test is skipped.
    """
    folder.mkdir()
    options = f"size={size},mode=1777"
    mounted = _as_root("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    if mounted.returncode:
        pytest.skip(f"needs a disk of its own: {mounted.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        _as_root("umount", "--lazy", str(folder)).check_returncode()


def _as_root(*command: str) -> subprocess.CompletedProcess[str]:
    sudo = () if os.geteuid() == 0 else ("sudo", "--non-interactive")
    return subprocess.run([*sudo, *command], capture_output=True, text=True, check=False)
