"""docs/your-own-api.md, "Without posts and search", followed in a copy of the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.commands import COMMAND
from tests.kit.copies import ROOT, check_types, copy_repository, run_tests
from tests.kit.dropping import drop

# Of the tests of accounts those that also know posts, on SQLite: all would take minutes.
TESTS = [
    "tests/spec/test_contract.py",
    "tests/repository/test_architecture.py",
    "tests/accounts/test_ownership.py",
    "tests/accounts/test_accounts_access.py",
    "tests/accounts/test_users.py",
    "tests/accounts/test_auth_disputes.py",
    "tests/accounts/test_auth_emails.py",
]
ONE = ["-q", "-k", "not postgresql"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_repository(tmp_path_factory.mktemp("dropped") / "copy")
    drop(folder)
    return folder


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_without_posts_the_style_is_correct(copy: Path, command: list[str]) -> None:
    ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "."]
    done = subprocess.run(ruff, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_without_posts_the_types_are_correct(copy: Path, known_types: Path) -> None:
    assert check_types(copy, known_types) == ""


def test_without_posts_the_schema_migrates_and_has_no_posts(copy: Path, tmp_path: Path) -> None:
    settings = {"PYTHONPATH": str(copy), "DATABASE_URL": f"sqlite:///{tmp_path}/b.db"}
    for command in ("upgrade", "check"):
        printed = subprocess.check_output(
            [*COMMAND, "db", command], cwd=copy, env=os.environ | settings, text=True
        )
        assert printed == "The schema is current.\n"
    document = (copy / "openapi" / "openapi.yaml").read_text()
    assert "/api/posts:" in (ROOT / "openapi" / "openapi.yaml").read_text()
    assert "/api/posts:" not in document
    assert "search_posts" not in document


def test_without_posts_the_tests_pass(copy: Path) -> None:
    code, printed = run_tests(copy, *ONE, *TESTS)
    assert code == 0, printed[-4000:]
