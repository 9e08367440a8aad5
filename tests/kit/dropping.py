"""Takes posts and search out of a checkout, as docs/your-own-api.md says:

    python -m tests.kit.dropping

It removes the files listed there. In all other files, it removes each line that ends with
`# posts`, together with the lines below it that are indented deeper.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

MARK = "# posts"
FOLDERS = ("alembic", "openapi", "service", "tests")
LIST = re.compile(r"^## 3. Drop posts and search$.*?^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def drop(root: Path) -> None:
    """Take posts and search out of this checkout."""
    found = LIST.search((root / "docs" / "your-own-api.md").read_text())
    assert found, "docs/your-own-api.md lists no files"
    for pattern in found[1].split():
        paths = list(root.glob(pattern))
        assert paths, f"docs/your-own-api.md lists {pattern}, which is not there"
        for path in paths:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for folder in FOLDERS:
        for path in (root / folder).rglob("*"):
            if path.suffix in {".py", ".yaml"} and "node_modules" not in path.parts:
                _strip(path)


def _strip(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    kept: list[str] = []
    blank = 0  # lines since the last removed one
    depth: int | None = None  # of the removed line; deeper lines below it are removed too
    for line in lines:
        indentation = len(line) - len(line.lstrip())
        if line.rstrip().endswith(MARK):
            depth, blank = indentation, 0
        elif depth is not None and not line.strip():
            blank += 1
        elif depth is not None and _goes_on(line, indentation, depth):
            blank = 0
        else:
            if depth is not None:  # keeps as many blank lines as there were
                kept += ["\n"] * max(blank, _taken_blank(kept))
            depth = None
            kept.append(line)
    if depth is not None:
        _taken_blank(kept)
    if len(kept) < len(lines):
        path.write_text("".join(kept))


def _taken_blank(lines: list[str]) -> int:
    """Remove blank lines from the end; how many there were."""
    before = len(lines)
    while lines and not lines[-1].strip():
        lines.pop()
    return before - len(lines)


def _goes_on(line: str, indentation: int, depth: int) -> bool:
    return indentation > depth or (indentation == depth and line.lstrip()[0] in ")]}")


if __name__ == "__main__":
    drop(Path.cwd())
