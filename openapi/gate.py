"""Checks changes to the specification: it is compared with the last release, and a difference that
clients see requires a new version and a line in CHANGELOG.md."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from openapi.changes import Change, compared
from service.engine.spec.specification import parsed
from service.specification import specification

HERE = Path(__file__).parent
RELEASED = HERE / "released.yaml"
CHANGELOG = HERE.parent / "CHANGELOG.md"


def main() -> int:
    """Print what must be done before a release; the exit code is 1 if there is anything."""
    released = parsed(RELEASED.read_bytes())
    current = json.loads(specification.public_json())
    [changes] = compared([(released, current)])
    versions = released["info"]["version"], current["info"]["version"]
    refusals = refused(changes, *versions, CHANGELOG.read_text("utf-8"))
    sys.stderr.writelines(f"{line}\n" for line in refusals)
    return 1 if refusals else 0


def refused(changes: Iterable[Change], old: str, new: str, changelog: str) -> list[str]:
    """A line for everything to do, or undo, before version `new` may follow `old`."""
    lines = []
    major, minor, _ = _numbers(old)
    for what, where, breaks in changes:
        needed = (major + 1, 0, 0) if breaks else (major, minor + 1, 0)
        if _numbers(new) < needed:
            effect = f"breaks clients of {old}: undo it, or" if breaks else f"is not in {old}:"
            some = ", ".join(where[:3]) + (f" and {len(where) - 3} more" if where[3:] else "")
            version = ".".join(map(str, needed))
            lines.append(f"openapi.yaml: {what} ({some}), which {effect} make it version {version}")
    if _numbers(new) < _numbers(old):
        lines.append(f"openapi.yaml: version {new} is less than {old}, which is released already")
    section = rf"^## {re.escape(new)}\b.*\n(?:(?!## ).*\n)*?- \S"
    if new != old and not re.search(section, changelog, re.MULTILINE):
        lines.append(f"CHANGELOG.md: a section `## {new}` has to say what changes for clients")
    return lines


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


if __name__ == "__main__":
    sys.exit(main())
