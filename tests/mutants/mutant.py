"""What a mutant is, and what its tests say with and without it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kit.copies import run_tests

SCHEMATHESIS = "tests/spec/test_schema.py"
_FAILED = re.compile(r"^FAILED tests/(.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """A mistake that somebody could make: in `file`, where `old` stands once, `new` stands instead.

    `test` has to fail then. `only` says for which of its parameters it is run, as `pytest -k` takes
    it; of the two databases one will do.
    """

    fault: str
    file: str
    old: str
    new: str
    test: str
    only: str = "not postgresql"


@dataclass(frozen=True)
class Outcome:
    """What became of some tests: `failed` is the one that did, None if all have passed, and
    `trouble` what was printed if it was neither."""

    seconds: float
    failed: str | None = None
    trouble: str | None = None


@contextmanager
def planted(mutant: Mutant, copy: Path) -> Iterator[None]:
    """The mutant is in the copy; afterwards its file is there again, with the time by which Python
    knows that it is compiled."""
    path = copy / mutant.file
    kept = path.rename(path.with_name("original"))
    try:
        text = kept.read_text()
        assert text.count(mutant.old) == 1, mutant.fault
        path.write_text(text.replace(mutant.old, mutant.new))
        yield
    finally:
        kept.replace(path)


def outcome(copy: Path, mutants: list[Mutant]) -> Outcome:
    """What becomes of the tests of these mutants in the copy as it is, up to the first failure."""
    tests = dict.fromkeys(mutant.test for mutant in mutants)
    only = " or ".join(f"({only})" for only in {mutant.only for mutant in mutants})
    plugins = ["-p", "no:tests.kit.verdict"]  # which fails no test
    plugins += ["-p", "schemathesis"] if SCHEMATHESIS in tests else []
    started = time.monotonic()
    code, printed = run_tests(copy, *plugins, "-q", "--exitfirst", "-k", only, *tests)
    seconds = time.monotonic() - started
    if code == 0:
        return Outcome(seconds)
    # Neither what fails before its test begins nor what cannot even be collected is a failed test.
    failed = _FAILED.search(printed) if code == 1 else None
    if failed is None:
        return Outcome(seconds, trouble=printed[-4000:])
    return Outcome(seconds, failed=failed[1])
