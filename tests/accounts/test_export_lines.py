"""Lines of an export are lines for every reader, whatever is in them."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest

from tests.kit.exports import PATH, give_sessions
from tests.kit.generated_clients import BIN
from tests.kit.programs import npm_programs
from tests.kit.serving import Person

# What str.splitlines, other readers and JSON itself take for the end of something.
ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
ALPHABET = [*ENDS, *'"\\{}[]:, \u00c2\u00e2\u0080\u00a8ab\u4e2d\U0001f600\ufeff']
READLINE = """
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
const input = createReadStream(process.argv[2])
for await (const line of createInterface({ input, crlfDelay: Infinity }))
  console.log(JSON.stringify(JSON.parse(line).user_agent ?? null))
"""


@pytest.fixture
def agents(anna: Person) -> list[str]:
    """The user agents of Anna's sessions but the current one, newest first."""
    seed = random.randrange(2**32)
    print("seed", seed)  # shown when a test fails
    choose = random.Random(seed)
    texts = [f"a{end}b" for end in ENDS]
    texts += ["".join(choose.choices(ALPHABET, k=choose.randrange(1, 60))) for _ in range(200)]
    give_sessions(anna, texts)
    return texts[::-1]


def test_the_code_of_the_guide_reads_whole_objects_from_an_export(
    anna: Person, agents: list[str]
) -> None:
    with anna.http.stream("GET", PATH) as export:
        items = [json.loads(line) for line in export.iter_lines()]
    assert [item["user_agent"] for item in items if item["type"] == "session"][1:] == agents


def test_an_export_splits_into_the_same_lines_in_every_reader(
    anna: Person, agents: list[str]
) -> None:
    text = anna.http.get(PATH).text
    assert text.splitlines() == text.split("\n")[:-1]


def test_nodes_readline_reads_whole_objects_from_an_export(
    anna: Person, agents: list[str], tmp_path: Path
) -> None:
    npm_programs()
    export, program = tmp_path / "export.ndjson", tmp_path / "read.mjs"
    export.write_bytes(anna.http.get(PATH).content)
    program.write_text(READLINE)
    read = subprocess.run(
        [BIN / "node", program, export], capture_output=True, text=True, check=True, timeout=60
    )
    items = [json.loads(line) for line in read.stdout.split("\n")[:-1]]
    assert [item for item in items if item is not None][1:] == agents
