"""The clients and what uses them compile strictly; node runs the same programs, types left out."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path

from tests.kit.generated_clients import BIN, run, tsc
from tests.repository import test_guide, test_readme
from tests.sdk.test_problems import documented

HERE = Path(__file__).parent
MYPY = ["--strict", "--no-incremental", "--no-error-summary", "--config-file="]
# Whether two types are the same to TypeScript, and not only good for each other.
SAME = """
type Is<A> = <T>() => T extends A ? 1 : 2;
type Same<A, B> = Is<A> extends Is<B> ? true : false;
"""


def test_programs_with_the_python_client_type_check(clients: Path, tmp_path: Path) -> None:
    site = clients / "site"
    (tmp_path / "guide.py").write_text(test_guide.program("python"))
    (tmp_path / "first.py").write_text(test_readme.block("python"))
    programs = [HERE / "tour.py", HERE / "problems.py", *tmp_path.glob("*.py")]
    run(BIN / "mypy", *MYPY, site / "byline_client", *programs, MYPYPATH=str(site))


def test_programs_with_the_typescript_client_type_check(clients: Path, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(clients / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "guide.ts").write_text(test_guide.program("ts"))
    (tmp_path / "first.mts").write_text(test_readme.block("ts"))
    (tmp_path / "errors.ts").write_text(_errors())
    for name in ("tour.ts", "problems.ts"):
        shutil.copy(HERE / name, tmp_path)
    tsc(tmp_path, "guide.ts", "first.mts", "errors.ts", "tour.ts", "problems.ts")


def _errors() -> str:
    """A program that compiles if each operation's errors are the documented ones, all problems."""
    statuses: dict[str, list[str]] = defaultdict(list)
    for operation, status, _ in documented():
        statuses[operation["operationId"]].append(f"{status}: byline.Problem")
    lines = ["import type * as byline from 'byline-client';", SAME]
    for name, errors in statuses.items():
        declared = f"byline.{name.title().replace('_', '')}Errors"
        expected = "; ".join([*errors, "default: byline.Problem"])
        lines.append(f"export const {name}: Same<{declared}, {{ {expected} }}> = true;")
    return "\n".join(lines)
