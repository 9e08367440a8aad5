"""A copy of the repository, for tests that change it and look at what its own tests say then."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 600.0  # seconds, on a machine that has much else to do
# Only the plugins that are named: loading all that are installed takes longer than most tests.
OPTIONS = ("--override-ini=addopts=--import-mode=importlib", "-p", "no:cacheprovider")


def copy_repository(folder: Path) -> Path:
    """The folder, with the repository in it as it is, without what git ignores."""
    lines = (ROOT / ".gitignore").read_text().splitlines()
    ignored = [line.strip("/") for line in lines if not line.startswith("#")]
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", *ignored))
    return folder


def run_tests(copy: Path, *arguments: str) -> tuple[int, str]:
    """What pytest ends with and prints in the copy; what it imports and starts is the copy's."""
    # With a folder of its own: where they share one, pytest removes what another run is removing.
    options = [*OPTIONS, "--basetemp", str(copy.with_name(f"{copy.name}-tmp"))]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *arguments],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        printed, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # so that it stops what it has started
        printed, _ = process.communicate()
    return process.returncode, printed
