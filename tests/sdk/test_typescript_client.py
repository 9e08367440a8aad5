"""The programs in `typescript`, in which each check says in a sentence what the client does."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kit.generated_clients import BIN, tsc

HERE = Path(__file__).parent / "typescript"
SHARED = {"account", "checks"}  # what the programs import
PROGRAMS = sorted({path.stem for path in HERE.glob("*.ts")} - SHARED)
# As in Bun, and in Node.js before 24.
WITHOUT_LOCKS = "data:text/javascript,delete Navigator.prototype.locks"


@pytest.fixture(scope="module")
def folder(clients: Path) -> Path:
    """The programs, beside the installed package."""
    return Path(shutil.copytree(HERE, clients / "programs", dirs_exist_ok=True))


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_check_of_a_program_holds(program: str, folder: Path) -> None:
    assert_checks_hold(program, folder)


def test_sessions_need_no_web_locks(folder: Path) -> None:
    assert_checks_hold("sessions", folder, "--import", WITHOUT_LOCKS)


def assert_checks_hold(program: str, folder: Path, *options: str) -> None:
    names = re.findall(r"^check\('(.*)', async", (HERE / f"{program}.ts").read_text(), re.MULTILINE)
    assert names
    command = [BIN / "node", *options, f"{program}.ts"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    held = {line.removeprefix("ok ") for line in done.stdout.splitlines()}
    assert [name for name in names if name not in held] == [], done.stdout + done.stderr


def test_the_programs_compile(folder: Path) -> None:
    tsc(folder, "--allowImportingTsExtensions", *(f"{program}.ts" for program in PROGRAMS))
