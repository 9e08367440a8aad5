"""Finds programs that some tests run: nginx, pgbouncer or chromium, and those from npm."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

NPM = Path(__file__).parents[2] / "openapi" / "node_modules" / ".bin"
PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


def program(name: str) -> str:
    """The path of a program; if it is missing, the test is skipped, unless REQUIRE names it."""
    found = shutil.which(name, path=PLACES)
    if found is None and name not in os.environ.get("REQUIRE", "").split(","):
        pytest.skip(f"{name} is not installed")
    assert found, f"REQUIRE names {name}, but it is not installed"
    return found


def npm_programs() -> Path:
    """The folder of the programs from npm, which the `node` of .venv runs. If the tools of `make
    sdk` are missing, the test is skipped, unless REQUIRE names node or java."""
    if not Path(sys.prefix, ".sdk").exists():
        required = {"node", "java"} & set(os.environ.get("REQUIRE", "").split(","))
        assert not required, f"REQUIRE names {required}, which come with `make .venv/.sdk`"
        pytest.skip("the tools of `make sdk` are not installed")
    return NPM
