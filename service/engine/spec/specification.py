"""The specification as the service reads it: one hand-written file, parsed once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PATH = Path(__file__).parents[3] / "openapi" / "openapi.yaml"


@cache
def document() -> dict[str, Any]:
    """The whole specification, wiring keys and references included; shared, not to be changed."""
    return parsed(PATH.read_bytes())


@cache
def policies() -> dict[str, int]:
    """Every policy that `x-rate-limit` and `x-guard` declare, and how many limits it takes."""
    counts: dict[str, int] = {}
    for declared in _declarations():
        names = [entry["policy"] for entry in limits(declared)]
        counts |= {name: max(names.count(name), counts.get(name, 0)) for name in names}
    return counts | dict.fromkeys(guards(), 1)


@cache
def guards() -> dict[str, dict[str, Any]]:
    """The entries of `x-guard` by policy; ValueError when two operations differ about one."""
    found: dict[str, dict[str, Any]] = {}
    for declared in _declarations():
        for entry in declared.get("x-guard", []):
            if found.setdefault(entry["policy"], entry) != entry:
                raise ValueError(f"x-guard {entry['policy']} is declared in two ways")
    return found


def limits(declared: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The entries of an operation's `x-rate-limit`: none for `none` and for `client`, which stands
    for the limit that the document declares for all."""
    entries = declared.get("x-rate-limit", [])
    if isinstance(entries, dict):
        yield entries
    elif isinstance(entries, list):
        yield from entries


def key_set_max_age() -> int:
    """Seconds for which others may keep the public keys, as the answer's Cache-Control says."""
    [item] = [item for path, item in document()["paths"].items() if path.endswith("/jwks.json")]
    [age] = re.findall(r"max-age=(\d+)", item["get"]["x-cache"])
    return int(age)


def _declarations() -> Iterator[dict[str, Any]]:
    """The document itself, and every operation."""
    whole = document()
    yield whole
    for item in whole["paths"].values():
        yield from (operation for operation in item.values() if isinstance(operation, dict))


def parsed(text: bytes) -> dict[str, Any]:
    """The document in YAML text."""
    # libyaml's loader is ten times as fast, where PyYAML was built with it.
    fast = yaml.__with_libyaml__
    read: dict[str, Any] = yaml.load(text, yaml.CSafeLoader) if fast else yaml.safe_load(text)
    return read
