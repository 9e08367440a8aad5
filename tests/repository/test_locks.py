"""The extras of pyproject.toml share one environment, so they agree on what they install."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_every_extra_has_a_lock_file() -> None:
    names = {path.stem.removeprefix("requirements-") for path in ROOT.glob("requirements-*.lock")}
    assert names == EXTRAS.keys()


def test_a_tool_of_two_extras_is_asked_for_in_the_same_version() -> None:
    asked = defaultdict(set)
    for requirements in EXTRAS.values():
        for requirement in requirements:
            asked[re.match(r"[\w-]+", requirement)[0]].add(requirement)
    assert {name: wanted for name, wanted in asked.items() if len(wanted) > 1} == {}


def test_all_locks_have_the_same_version_of_a_package() -> None:
    locked = defaultdict(set)
    for lock in ROOT.glob("requirements*.lock"):
        # A package may have two, for older and newer Pythons.
        found: dict[str, set[str]] = defaultdict(set)
        for name, version in re.findall(r"(?m)^([\w.-]+)==(\S+)", lock.read_text()):
            found[name].add(version)
        for name, versions in found.items():
            locked[name].add(frozenset(versions))
    assert {name: versions for name, versions in locked.items() if len(versions) > 1} == {}
