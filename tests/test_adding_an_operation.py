"""docs/adding-an-operation.md, followed to the letter in a copy of the repository."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "adding-an-operation.md").read_text()
BLOCK = r"nto\s`([^`]+)`, (?:before `([^`]+)`|at the end)\n\n```\w+\n(.*?)```"
REPLACEMENT = r"in `([^`]+)`, `([^`]+)`\s+becomes `([^`]+)`"

CHECKS = [
    *("-n0", "-v", "-p", "no:cacheprovider", "-p", "no:randomly"),
    *("tests/test_contract.py", "tests/test_architecture.py", "tests/handlers/test_users.py"),
    *("-k", "contract or architecture or (posts_have_an_address and sqlite)"),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository as it is, without what git ignores."""
    lines = (ROOT / ".gitignore").read_text().splitlines()
    ignored = [line.strip("/") for line in lines if not line.startswith("#")]
    shutil.copytree(ROOT, tmp_path / "copy", ignore=shutil.ignore_patterns(".git", *ignored))
    return tmp_path / "copy"


def test_the_guide_adds_an_operation_in_three_steps_and_three_files(copy):
    changed = set()
    for file, anchor, text in re.findall(BLOCK, GUIDE, re.DOTALL):
        before = (copy / file).read_text()
        assert not anchor or before.count(anchor) == 1
        (copy / file).write_text(before.replace(anchor, text + anchor) if anchor else before + text)
        changed.add(file)
    for file, old, new in re.findall(REPLACEMENT, GUIDE):
        before = (copy / file).read_text()
        assert old in before
        (copy / file).write_text(before.replace(old, new))
    assert len(changed) == 3

    run = subprocess.run(
        [sys.executable, "-m", "pytest", *CHECKS],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert run.returncode == 0, run.stdout[-4000:]
    assert "test_a_users_posts_have_an_address_of_their_own[sqlite] PASSED" in run.stdout
    assert "list_user_posts" in run.stdout  # the contract test found it by itself
