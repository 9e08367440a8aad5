"""Builds what is published: a wheel and a source distribution for Python, a tarball for npm.

The same sources make the same bytes, whenever and wherever they are built: names in order, no
user, and SOURCE_DATE_EPOCH or npm's constant as the time of every file. To verify a published
package, build it again and compare.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from openapi.sdk.programs import BIN, run

# What npm writes into every tarball: a day in 1985 that all formats can express.
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "499162500"))
BUILD = """
import sys, setuptools.build_meta as backend
dist = sys.argv[1]  # setuptools changes sys.argv
backend.build_sdist(dist)
backend.build_wheel(dist)
"""


def build(clients: Path) -> None:
    """Write the packages of `python` and `typescript` into `dist`, replacing what is there."""
    dist = clients / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir()
    with TemporaryDirectory() as folder:
        # Copies, because both formats keep modes, and setuptools leaves files where it builds.
        python, typescript = Path(folder, "python"), Path(folder, "typescript")
        for copy in (python, typescript):
            shutil.copytree(clients / copy.name, copy, copy_function=_copy_text)
        run(python, sys.executable, "-c", BUILD, dist, SOURCE_DATE_EPOCH=str(EPOCH))
        options = ["--offline", "--ignore-scripts", "--silent"]
        run(typescript, BIN / "npm", "pack", *options, "--pack-destination", dist)
    for archive in (*dist.glob("*.tar.gz"), *dist.glob("*.tgz")):
        _settle(archive)


def _copy_text(source: str, target: str) -> None:
    """Copy a file, but not its mode."""
    shutil.copyfile(source, target)
    Path(target).chmod(0o644)


def _settle(archive: Path) -> None:
    """Write the archive again, small, and without the times, users and modes of this machine."""
    with tarfile.open(archive) as before:
        entries = [(entry, (before.extractfile(entry) or io.BytesIO()).read()) for entry in before]
    with (
        archive.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=EPOCH) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as after,
    ):
        for entry, data in sorted(entries, key=lambda pair: pair[0].name):
            settled = tarfile.TarInfo(entry.name)
            settled.type, settled.size, settled.mtime = entry.type, len(data), EPOCH
            settled.mode = 0o755 if entry.isdir() else 0o644
            after.addfile(settled, io.BytesIO(data))
