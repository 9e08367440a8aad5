"""A copy of the repository, for tests that change it and then run the tests of the copy."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile

from tests.kit import forked

ROOT = Path(__file__).parents[2]
PATIENCE = 600.0  # seconds, on a busy machine
# Only named plugins: loading all that are installed takes longer than most tests.
OPTIONS = ("--override-ini=addopts=--import-mode=importlib", "-p", "no:cacheprovider")

_IMPORTED = """
import sys, pytest, tests.conftest
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
theirs = [name for name, file in files.items() if "site-packages" in file]
print(*(name for name in theirs if not name.startswith("__editable")))
"""
# All modules of the repository must come from the copy.
_PYTEST = """
import sys
for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
    del sys.modules[name]
sys.path[:] = ["{copy}", *(path for path in sys.path if path not in ("", "{root}"))]
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def copy_repository(folder: Path) -> Path:
    """Copy the repository as it is now into the folder, without what git ignores."""
    lines = (ROOT / ".gitignore").read_text().splitlines()
    ignored = [line.strip("/") for line in lines if not line.startswith("#")]
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", *ignored))
    return folder


def run_tests(copy: Path, *arguments: str) -> tuple[int, str]:
    """Run pytest in the copy, which imports and starts the copy's code; exit code and output."""
    # With its own temporary folder: in a shared one, two runs of pytest remove the same files.
    options = [*OPTIONS, "--basetemp", str(copy.with_name(f"{copy.name}-tmp"))]
    with TemporaryFile() as output:
        process = forked.Process(
            [_PYTEST.format(copy=copy, root=ROOT), *options, *arguments],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdout=output,
            stderr=output,
            modules=_libraries(),
        )
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # so that it stops the processes that it started
            code = process.wait()
        output.seek(0)
        return code, output.read().decode()


@cache
def _libraries() -> tuple[str, ...]:
    """The libraries that all tests import: importing them takes longer than most tests."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(done.stdout.split())
