"""The wheel is all that a server needs: it migrates and serves in an empty folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.kit.commands import ROOT, environment, running

COMMAND = [sys.executable, "-m", "service.cli"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder into which nothing but the wheel has been installed."""
    checkout, packages = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("packages")
    for name in ("pyproject.toml", "README.md", "app.py"):
        shutil.copy(ROOT / name, checkout)
    for name in ("service", "openapi", "alembic"):
        ignored = shutil.ignore_patterns("node_modules", "__pycache__")
        shutil.copytree(ROOT / name, checkout / name, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--target", packages, checkout], check=True
    )
    shutil.rmtree(checkout)
    return packages


def test_the_wheel_brings_one_package(packages: Path) -> None:
    assert {path.name for path in packages.glob("*") if path.suffix != ".dist-info"} == {
        "bin",
        "service",
    }


def test_a_server_needs_nothing_but_the_wheel(packages: Path, tmp_path: Path) -> None:
    own = {"PYTHONPATH": str(packages), "DATABASE_URL": "sqlite:///here.db"}
    upgraded = subprocess.run(
        [*COMMAND, "db", "upgrade"],
        cwd=tmp_path,
        env=environment(tmp_path, **own),
        capture_output=True,
        text=True,
        check=True,
    )
    assert upgraded.stdout == "The schema is current.\n"
    where = [sys.executable, "-c", "import service; print(service.__file__)"]
    imported = subprocess.check_output(where, cwd=tmp_path, env=environment(tmp_path, **own))
    assert imported.decode().startswith(str(packages))
    with running([*COMMAND, "serve"], tmp_path, **own) as url:
        assert httpx.get(f"{url}/api/posts").json() == []
        assert httpx.get(f"{url}/docs/init.js").status_code == 200
        assert httpx.get(f"{url}/openapi.yaml").text.startswith("openapi: 3.0.3\n")
        account = {"email": "anna@example.com", "password": "correct horse battery staple"}
        assert httpx.post(f"{url}/auth/register", json=account).status_code == 201
    [mail] = (tmp_path / "instance" / "mail").iterdir()
    assert "anna@example.com" in mail.read_text()
