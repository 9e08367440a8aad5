"""Plants each mutant in a copy of the repository, and shows the test that fails or that none does.

python -m tests.mutants [part of a kind or of what is wrong]
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from tests.kit.copies import copy_repository
from tests.mutants import KINDS
from tests.mutants.mutant import SCHEMATHESIS, Mutant, Outcome, outcome, planted

AT_ONCE = 3  # on two processors: some tests wait a minute for what never comes

Copies = SimpleQueue[Path]
Trial = tuple[Mutant | None, list[Mutant]]  # what is planted, and whose tests are run


def main(part: str = "") -> int:
    """The exit code: 0 if a test fails for each of the mutants, and none without them."""
    mutants = [m for kind, ms in KINDS.items() for m in ms if part in f"{kind}: {m.fault}"]
    if not mutants:
        print(f"No mutant has {part!r} in it.", file=sys.stderr)
        return 2
    trials: list[Trial] = [(None, group) for group in _by_program(mutants)]
    trials += [(mutant, [mutant]) for mutant in mutants]
    started = time.monotonic()
    with (
        TemporaryDirectory(prefix="byline-mutants-") as folder,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        copies: Copies = SimpleQueue()
        for number in range(AT_ONCE):
            copies.put(copy_repository(Path(folder, str(number))))
        outcomes = pool.map(partial(_tried, copies), trials)
        became = [_shown(mutant, next(outcomes)) for mutant, _ in trials]
    seconds = time.monotonic() - started
    wrong = [line for line in became if line]
    print(f"\n{len(became) - len(wrong)} of {len(became)} as they should be, in {seconds:.0f} s")
    print("".join(wrong), end="")  # again, because who reads a log begins at its end
    return 1 if wrong else 0


def _by_program(mutants: list[Mutant]) -> list[list[Mutant]]:
    """Those for schemathesis and the others: what chooses among its tests chooses others too."""
    by_schemathesis = [mutant for mutant in mutants if mutant.test == SCHEMATHESIS]
    others = [mutant for mutant in mutants if mutant.test != SCHEMATHESIS]
    return [group for group in (by_schemathesis, others) if group]


def _tried(copies: Copies, trial: Trial) -> Outcome:
    mutant, tested = trial
    copy = copies.get()
    try:
        with planted(mutant, copy) if mutant else nullcontext():
            return outcome(copy, tested)
    finally:
        copies.put(copy)


def _shown(mutant: Mutant | None, became: Outcome) -> str:
    """Print what became of it; what was printed, or nothing if it is as it should be: with a mutant
    a test has failed, without one none has."""
    fault = mutant.fault if mutant else "(nothing is wrong)"
    said = became.failed or ("TROUBLE" if became.trouble else "no test failed")
    line = f"{fault:66} {became.seconds:5.1f} s  {said}\n{became.trouble or ''}"
    print(line, end="", flush=True)
    is_good = not became.trouble and bool(became.failed) == bool(mutant)
    return "" if is_good else line


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
