"""Programs of the system that some tests run: nginx, pgbouncer, promtool, chromium."""

from __future__ import annotations

import os
import shutil

import pytest

PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


def program(name: str) -> str:
    """The path of a program; without it the test is skipped, unless REQUIRE names it."""
    found = shutil.which(name, path=PLACES)
    if found is None and name not in os.environ.get("REQUIRE", "").split(","):
        pytest.skip(f"{name} is not installed")
    assert found, f"REQUIRE names {name}, but it is not installed"
    return found
