"""What makes packages of the generated clients: names, versions, metadata and READMEs."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from service.specification import specification

PACKAGE = f"{specification.name.replace('_', '-')}-client"
MODULE = f"{specification.name}_client"
HERE = Path(__file__).parent
GUIDE = HERE.parents[1] / "docs" / "guide.md"
# The metadata of a package, and the language of its examples in the guide.
PACKAGES = {"python": ("pyproject.toml", "python"), "typescript": ("package.json", "ts")}


def describe(language: str, folder: Path) -> None:
    """Write what the package of a language has beside its code."""
    metadata, examples = PACKAGES[language]
    fill_in(HERE / language / f"{metadata}.template", folder)
    (folder / "README.md").write_text(_readme(examples))


def fill_in(template: Path, folder: Path) -> Path:
    """The file in the folder that the template makes; `$name` stands for a name of the package."""
    filled = folder / template.stem
    names = {"title": specification.title, "package": PACKAGE, "module": MODULE}
    text = Template(template.read_text()).substitute(names, version=specification.version)
    filled.write_text(text)
    return filled


def _readme(language: str) -> str:
    """The guide without the examples in other languages."""
    others = "|".join({"sh", "python", "ts"} - {language})
    return re.sub(rf"```(?:{others})\n.*?```\n\n?", "", GUIDE.read_text(), flags=re.DOTALL)
