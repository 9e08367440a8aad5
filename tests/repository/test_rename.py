"""`make rename` gives a copy of the repository another name, and the copy still works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import jwt
import pytest

from tests.kit.commands import environment, running
from tests.kit.copies import copy_repository, run_tests

KEPT = {"CHANGELOG.md", "LICENSE"}
# None of them needs a program beside Python.
CHECKS = [
    "tests/deploy/test_compose.py",
    "tests/deploy/test_prometheus.py",
    "tests/deploy/test_systemd.py",
    "tests/domain/test_mails.py",
    "tests/repository/test_architecture.py",
    *("-k", "not promtool and not fires and not 300 and not docker"),
]
# Writes what the packages of both clients have beside their code.
DESCRIBE = """
from pathlib import Path
from openapi.sdk.packages import describe
for language in ("typescript", "python"):
    describe(language, Path("."))
"""


def rename(copy: Path, name: str) -> subprocess.CompletedProcess[str]:
    command = ["make", f"PYTHON={sys.executable}", "rename", f"NAME={name}"]
    # Without what a `make test` around this one passes on.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, check=False)


def contents(copy: Path) -> dict[str, bytes]:
    files = (path for path in copy.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(copy)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A renamed copy of the repository, and what the renaming printed."""
    copy = copy_repository(tmp_path_factory.mktemp("renamed") / "copy")
    done = rename(copy, "Acme")
    assert done.returncode == 0, done.stderr
    return copy, done.stdout


@pytest.fixture(scope="module")
def copy(renamed: tuple[Path, str]) -> Path:
    return renamed[0]


def test_the_old_name_stays_where_it_must_and_nowhere_else(renamed: tuple[Path, str]) -> None:
    copy, printed = renamed
    found = {
        name for name, data in contents(copy).items() if b"byline" in name.encode() + data.lower()
    }
    assert found == KEPT
    prefixed = {name for name, data in contents(copy).items() if re.search(rb"\bbyl_", data)}
    assert prefixed <= KEPT
    assert "x-token-prefix: acm_\n" in (copy / "openapi" / "openapi.yaml").read_text()
    assert "leave x-token-prefix at byl_ and they stay good" in printed
    for name in KEPT:
        assert re.search(rf"{name} still says Byline: \w+", printed)


def test_the_command_lists_the_files_it_has_moved(renamed: tuple[Path, str]) -> None:
    copy, printed = renamed
    moved = re.findall(r"^  (\S+) is (\S+)$", printed, re.MULTILINE)
    assert ("deploy/systemd/byline.service", "deploy/systemd/acme.service") in moved
    assert all((copy / after).exists() and not (copy / before).exists() for before, after in moved)


def test_doing_it_again_changes_nothing(copy: Path) -> None:
    before = contents(copy)
    assert rename(copy, "acme").stdout == "It is called Acme already.\n"
    assert contents(copy) == before


@pytest.mark.parametrize("name", ["", "Two words", "x", "1st", "Bücher", "flask", "json", "tests"])
def test_a_name_that_would_not_work_is_refused(copy: Path, name: str) -> None:
    before = contents(copy)
    done = rename(copy, name)
    assert done.returncode != 0
    assert "for example: make rename NAME=Acme" in done.stderr
    assert contents(copy) == before


def test_the_command_of_the_new_name_serves_under_it(copy: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "acme"]
    settings = {"PYTHONPATH": str(copy), "DATABASE_URL": ""}
    refused = _run(tmp_path, *command, "serve", **settings)
    assert refused.stderr == "Error: The schema is empty: run `acme db upgrade` first.\n"
    assert _run(tmp_path, *command, "db", "upgrade", **settings).returncode == 0
    assert (tmp_path / "instance" / "acme.db").exists()
    with running([*command, "serve"], tmp_path, **settings) as url:
        account = {"email": "anna@example.com", "password": "correct horse battery"}
        httpx.post(f"{url}/auth/register", json=account).raise_for_status()
        token = httpx.post(f"{url}/auth/login", json=account).json()["access_token"]
        claims = jwt.decode(token, options={"verify_signature": False})
        assert (claims["iss"], claims["aud"]) == ("acme", "acme")
        assert httpx.get(f"{url}/auth/me").headers["WWW-Authenticate"] == 'Bearer realm="acme"'
        prefixes = re.findall(r"^# TYPE ([a-z]+)_", httpx.get(f"{url}/metrics").text, re.MULTILINE)
        assert set(prefixes) == {"acme", "process"}
        assert "<h1>Acme</h1>" in httpx.get(f"{url}/").text
        assert httpx.get(f"{url}/docs/acme.css").status_code == 200
        assert httpx.get(f"{url}/openapi.json").json()["info"]["title"] == "Acme"


def test_the_clients_are_called_after_it(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "acme_client").mkdir()
    settings = {"PYTHONPATH": str(copy)}
    done = _run(tmp_path, sys.executable, "-c", DESCRIBE, **settings)
    assert done.returncode == 0, done.stderr
    written = {path.name: path.read_text() for path in tmp_path.rglob("*.*")}
    assert 'name = "acme-client"\n' in written["pyproject.toml"]
    assert '"name": "acme-client",\n' in written["package.json"]
    assert "from acme_client import Acme\n" in written["README.md"]
    for name in {*written} - {"LICENSE", "CHANGELOG.md"}:
        assert "byline" not in written[name].lower()


def test_the_renamed_repository_keeps_its_rules(copy: Path) -> None:
    ruff = [sys.executable, "-m", "ruff"]
    for arguments in (["check", "--fix-only"], ["format"], ["check"]):
        subprocess.run([*ruff, *arguments, "--quiet", "--no-cache", "."], cwd=copy, check=True)
    code, printed = run_tests(copy, *CHECKS)
    assert code == 0, printed[-4000:]


def _run(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        check=False,
    )
