"""docs/security.md says of every requirement of ASVS whether it is met."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
VERDICTS = re.findall(r"^\| ([\d., ]+) \| .+? \| (.+?) \|", PAGE, re.MULTILINE)


def test_every_requirement_of_the_standard_has_a_verdict() -> None:
    assert len(VERDICTS) > 40
    for requirement, verdict in VERDICTS:
        assert verdict.split()[0].strip(",") in {"yes", "no", "in", "operator", "n/a"}, requirement
