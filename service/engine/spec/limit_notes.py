"""What the published description of an operation says about its limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# What `per` means, where the word alone does not say it. A service may have words of its own.
PER = {"ip": "client address"}


def note(
    entries: Iterable[dict[str, Any]], overrides: Mapping[str, str], per: Mapping[str, str] = PER
) -> str:
    """The limits of these entries of `x-rate-limit`, separated by commas: `60 per minute for each
    user (`write`)`.

    `overrides` are the limits that the operator has set instead, by policy.
    """
    rates: dict[tuple[str, str], list[str]] = {}
    seen: list[str] = []
    for entry in entries:
        name = entry["policy"]
        override = overrides.get(name)
        limits = override.split(";")[seen.count(name)] if override else entry["limit"]
        seen.append(name)
        found = rates.setdefault((name, entry["per"]), [])
        found += _rates(limits, entry.get("counts"))
    return ", ".join(
        f"{' and '.join(found)} for each {per.get(whom, whom)} (`{name}`)"
        for (name, whom), found in rates.items()
    )


def _rates(limits: str, counts: str | None) -> list[str]:
    """`60 per minute`, `10 failures in 15 minutes`."""
    from limits import parse_many  # with its libraries, which most commands can spare

    what = f" {counts}" if counts else ""
    return [
        f"{item.amount}{what} per {item.GRANULARITY.name}"
        if item.multiples == 1
        else f"{item.amount}{what} in {item.multiples} {item.GRANULARITY.name}s"
        for item in parse_many(limits)
    ]
