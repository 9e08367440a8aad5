"""docs/security.md names the code and the tests of every promise, so they must be there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
FILES = sorted(set(re.findall(r"`((?:bench|deploy|openapi|service|tests)/[\w./-]+)`", PAGE)))
VERDICTS = re.findall(r"^\| ([\d., ]+) \| .+? \| (.+?) \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_the_page_names_is_there(file: str) -> None:
    assert (ROOT / file).exists()


def test_every_requirement_of_the_standard_has_a_verdict() -> None:
    assert len(VERDICTS) > 40
    for requirement, verdict in VERDICTS:
        assert verdict.split()[0].strip(",") in {"yes", "no", "in", "operator", "n/a"}, requirement
