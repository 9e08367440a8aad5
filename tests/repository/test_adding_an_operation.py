"""docs/adding-an-operation.md, followed to the letter in a copy of the repository: `make check` has
nothing to say about the operation."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.kit import databases
from tests.kit.commands import running
from tests.kit.copies import ROOT, check_types, copy_repository, run_tests
from tests.kit.generated_clients import run
from tests.kit.programs import NPM, npm_programs
from tests.kit.serving import PASSWORD

GUIDE = (ROOT / "docs" / "adding-an-operation.md").read_text()
BLOCK = r"nto\s`([^`]+)`, (?:before `([^`]+)`|at the end)\n\n```\w+\n(.*?)```"
REPLACEMENT = r"in `([^`]+)`, `([^`]+)`\s+becomes `([^`]+)`"
BIN = Path(sys.executable).parent
ANNA = {"email": "anna@example.com", "password": PASSWORD}
# No line of the clients is written for the operation.
IN_PYTHON = """
import sys
from byline_client import Byline
byline = Byline(sys.argv[1])
me = byline.sign_in(sys.argv[2], sys.argv[3]).user
byline.posts.create(title="By Anna", content="Words.")
print([post.title for post in byline.users.list_user_posts(me.id)])
"""
IN_TYPESCRIPT = """
import { Byline } from 'byline-client';
const [url, email, password] = process.argv.slice(2);
const byline = new Byline(url);
const { user } = await byline.signIn(email, password);
for await (const post of byline.users.listUserPosts(user.id)) console.log(post.title);
"""

# What `make test` has of tests that a new operation can break, or that find it by themselves.
TESTS = [
    "tests/spec/test_contract.py",
    "tests/repository/test_architecture.py",
    "tests/privacy/test_unvisited.py",
    "tests/accounts/test_users.py",
]
CHOSEN = "contract or architecture or unvisited or (posts_have_an_address and sqlite)"
# `make lint`; Spectral has this paragraph in tests/spec/test_rules.py.
RUFF = [BIN / "ruff", "check", "--quiet", "--no-cache"]
FORMAT = [BIN / "ruff", "format", "--quiet", "--no-cache"]
BANDIT = [BIN / "bandit", "--quiet"]


@pytest.fixture(scope="module")
def changed() -> set[str]:
    """The files that the steps change."""
    return set()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, changed: set[str]) -> Path:
    """The repository after the steps of the guide."""
    copy = copy_repository(tmp_path_factory.mktemp("guide") / "copy")
    for file, anchor, text in re.findall(BLOCK, GUIDE, re.DOTALL):
        before = (copy / file).read_text()
        assert not anchor or before.count(anchor) == 1
        (copy / file).write_text(before.replace(anchor, text + anchor) if anchor else before + text)
        changed.add(file)
    for file, old, new in re.findall(REPLACEMENT, GUIDE):
        before = (copy / file).read_text()
        assert old in before
        (copy / file).write_text(before.replace(old, new))
    (copy / "openapi" / "node_modules").symlink_to(NPM.parent)
    return copy


def said(copy: Path, *command: str | Path) -> str:
    """What a command prints in the copy, unless it ends well."""
    run = subprocess.run(
        command,
        cwd=copy,
        env={"PATH": f"{BIN}:/usr/bin:/bin", "PYTHONPATH": str(copy), "HOME": str(copy.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if run.returncode == 0 else f"{run.stdout}{run.stderr}"


def test_the_guide_adds_an_operation_in_three_files_and_the_tests_pass(
    copy: Path, changed: set[str]
) -> None:
    assert len(changed) == 3

    code, printed = run_tests(copy, "-v", *TESTS, "-k", CHOSEN)

    assert code == 0, printed[-4000:]
    assert "test_a_users_posts_have_an_address_of_their_own[sqlite] PASSED" in printed
    assert "list_user_posts" in printed  # the contract test found it by itself


def test_style_and_security_linters_find_nothing(copy: Path, changed: set[str]) -> None:
    files = sorted(file for file in changed if file.endswith(".py"))
    assert "`make format` adds" in GUIDE
    assert said(copy, *FORMAT, *files) == ""
    assert said(copy, *RUFF, *files) == ""
    assert said(copy, *BANDIT, *(file for file in files if file.startswith("service"))) == ""


def test_mypy_finds_nothing(copy: Path, known_types: Path) -> None:
    assert check_types(copy, known_types) == ""


def test_redocly_finds_nothing(copy: Path) -> None:
    lint = [BIN / "node", npm_programs() / "redocly", "lint", "--config", "openapi/redocly.yaml"]
    assert said(copy, *lint, "openapi/openapi.yaml") == ""


def test_the_gate_says_what_a_release_with_it_needs_and_is_content_then(copy: Path) -> None:
    npm_programs()
    gate = [BIN / "python", "-m", "openapi.gate"]
    if told := said(copy, *gate):
        specification = copy / "openapi" / "openapi.yaml"
        text = specification.read_text()
        [version] = set(re.findall(r"make it version (\d+\.\d+\.\d+)", told))
        specification.write_text(
            re.sub(r"(?m)^  version: .*", f"  version: {version}", text, count=1)
        )
        told = said(copy, *gate)
        assert f"a section `## {version}`" in told
        changelog = copy / "CHANGELOG.md"
        section = f"\n## {version}\n\n- A user's posts have an address of their own.\n"
        changelog.write_text(changelog.read_text().replace("\n## ", f"{section}\n## ", 1))
        assert said(copy, *gate) == ""


def test_both_clients_have_the_operation(copy: Path, tmp_path: Path) -> None:
    npm_programs()
    assert said(copy, BIN / "python", "-m", "openapi.sdk.generate", tmp_path) == ""
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "byline-client").symlink_to(tmp_path / "typescript")
    (tmp_path / "program.py").write_text(IN_PYTHON)
    (tmp_path / "program.mjs").write_text(IN_TYPESCRIPT)
    database = f"sqlite:///{tmp_path}/clients.db"
    databases.upgrade(database)
    settings = {"PYTHONPATH": str(copy), "DATABASE_URL": database}
    with running([sys.executable, "-m", "byline", "serve"], tmp_path, **settings) as url:
        httpx.post(f"{url}/auth/register", json=ANNA).raise_for_status()
        arguments = (url, *ANNA.values())
        python = run(sys.executable, "program.py", *arguments, cwd=tmp_path, PYTHONPATH="python")
        typescript = run(BIN / "node", "program.mjs", *arguments, cwd=tmp_path)
    assert python == "['By Anna']\n"
    assert typescript == "By Anna\n"
