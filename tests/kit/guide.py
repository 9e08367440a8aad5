"""The programs that docs/guide.md shows: one for each language, and some that stand alone."""

from __future__ import annotations

import re
from pathlib import Path

GUIDE = (Path(__file__).parents[2] / "docs" / "guide.md").read_text()
API = "http://127.0.0.1:8000"
# A block of code, and the comment before it that names the test that runs it by itself.
_OWN = r"(?:<!-- (\S+) runs this[^>]+-->\n)?"
_BLOCK = re.compile(_OWN + r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def program(language: str, api: str = API) -> str:
    """The blocks of a language, with this address for the one that is in the first."""
    first, *others = _blocks(language)
    assert first.count(API) == 1
    assert not any(API in block for block in others)
    return "\n".join([first.replace(API, api), *others])


def program_of(test: str, language: str) -> str:
    """The blocks of a language that this test runs by themselves."""
    return "\n".join(_blocks(language, test))


def _blocks(language: str, test: str = "") -> list[str]:
    return [code for own, kind, code in _BLOCK.findall(GUIDE) if (own, kind) == (test, language)]
