"""A program of twenty lines with the TypeScript client copes with what networks and people do."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.kit.generated_clients import BIN, tsc
from tests.kit.serving import Server
from tests.sdk.test_python_program import brief, copes

__all__ = ["brief"]  # a fixture
PROGRAM = Path(__file__).parent / "done_when.ts"
# Garbage is collected when it has to be. Node.js itself takes 50 MB, and 40 more to strip types.
HEAP = ["--max-old-space-size=32", "--max-semi-space-size=1"]  # in megabytes
LIMIT = 160_000_000  # bytes of memory, whatever the length of the export
MEASURED = """
import { readFileSync } from 'node:fs';
await import('./done_when.ts');
console.log(/VmHWM:\\s+(\\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1] + '000');
"""


def test_twenty_lines_stay_signed_in_page_retry_change_and_stream(
    brief: Server, clients: Path
) -> None:
    folder = Path(shutil.copy(PROGRAM, clients)).parent
    measured = folder / "measured.mjs"
    measured.write_text(MEASURED)
    assert copes(brief, folder, BIN / "node", *HEAP, measured) < LIMIT
    tsc(folder, PROGRAM.name)
    code = [line for line in PROGRAM.read_text().splitlines() if line and not line.startswith("//")]
    assert len(code) <= 20
