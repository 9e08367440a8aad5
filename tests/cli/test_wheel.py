"""The wheel is all that a server needs: it migrates and serves in an empty folder, whatever else is
installed beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from email import message_from_string
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

from service.specification import specification
from tests.kit.commands import environment, running
from tests.kit.copies import copy_repository

BUILD = "import sys, setuptools.build_meta as s; s.build_sdist(sys.argv[1])"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
OFFLINE = ["--no-deps", "--no-index"]
UNSET = {"PYTHONPATH": ""}  # or the checkout would be found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source distribution in `sdist` and the wheels of the checkout and of it."""
    folder = tmp_path_factory.mktemp("built")
    checkout = copy_repository(folder / "checkout")
    subprocess.run([sys.executable, "-c", BUILD, folder / "sdist"], cwd=checkout, check=True)
    [sdist] = (folder / "sdist").iterdir()
    for name, source in (("wheel", checkout), ("again", sdist)):
        build = [*PIP, "wheel", *OFFLINE, "--no-build-isolation", "-w", folder / name]
        subprocess.run([*build, source], check=True)
    shutil.rmtree(checkout)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    [wheel] = (built / "wheel").iterdir()
    return wheel


@pytest.fixture(scope="module")
def house(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A read-only environment with the wheel in it, and another package called `service`."""
    house = tmp_path_factory.mktemp("environment") / "house"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", house], check=True)
    python = house / "bin" / "python"
    subprocess.run([*PIP, "--python", python, "install", *OFFLINE, wheel], check=True)
    [packages] = house.glob("lib/python*/site-packages")
    # The suite's own dependencies; the .pth files among them, as that of the checkout, do nothing.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    (packages / "service").mkdir()
    (packages / "service" / "__init__.py").write_text("mine = True\n")
    folders = [house, *(path for path in house.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield house
    for folder in folders:
        folder.chmod(0o755)


def inside(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def run(house: Path, folder: Path, *command: str | Path, **settings: str) -> str:
    """What a command of the environment prints in this folder."""
    program, *arguments = command
    return subprocess.run(
        [house / "bin" / program, *arguments],
        cwd=folder,
        env=environment(folder, **UNSET, **settings),
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_the_wheel_installs_one_module_and_it_is_called_like_the_project(wheel: Path) -> None:
    names = {Path(name).parts[0] for name in inside(wheel)}
    version = specification.version
    assert names == {"byline", f"byline-{version}.dist-info"}
    with ZipFile(wheel) as archive:
        metadata = archive.read(f"byline-{version}.dist-info/METADATA").decode()
        modules = archive.read(f"byline-{version}.dist-info/top_level.txt").decode()
    assert modules.split() == ["byline"]
    told = message_from_string(metadata)
    assert told["Version"] == version
    assert "uvx --from" in told.get_payload()
    assert {"Requires-Python", "License-Expression", "Keywords", "Classifier"} <= {*told.keys()}


def test_the_wheel_has_no_tests_and_no_tools(wheel: Path) -> None:
    names = inside(wheel)
    rooms = {Path(name).parts[1] for name in names if name.startswith("byline/")}
    assert rooms == {"__init__.py", "__main__.py", "alembic", "openapi", "service"}
    assert {name for name in names if "/openapi/" in name} == {"byline/openapi/openapi.yaml"}
    assert not [name for name in names if "__pycache__" in name]


def test_a_source_distribution_builds_the_same_wheel(built: Path, wheel: Path) -> None:
    [again] = (built / "again").iterdir()
    assert again.name == wheel.name
    assert inside(again) == inside(wheel)
    [sdist] = (built / "sdist").iterdir()
    with tarfile.open(sdist) as archive:
        rooms = {Path(name).parts[1] for name in archive.getnames() if "/" in name}
    assert not rooms & {"tests", "bench", "deploy", "instance"}


def test_a_server_needs_nothing_but_the_wheel(house: Path, tmp_path: Path) -> None:
    before = sorted(house.rglob("*"))
    where = {"DATABASE_URL": "sqlite:///here.db"}
    assert run(house, tmp_path, "byline", "db", "upgrade", **where) == "The schema is current.\n"
    serve = [str(house / "bin" / "byline"), "serve"]
    with running(serve, tmp_path, **UNSET, **where, WORKERS="2") as url:
        assert httpx.get(f"{url}/api/users").json() == []
        assert httpx.get(f"{url}/docs/init.js").status_code == 200
        assert httpx.get(f"{url}/openapi.yaml").text.startswith("openapi: 3.0.3\n")
        account = {"email": "anna@example.com", "password": "correct horse battery staple"}
        assert httpx.post(f"{url}/auth/register", json=account).status_code == 201
    [mail] = (tmp_path / "instance" / "mail").iterdir()
    assert "anna@example.com" in mail.read_text()
    assert sorted(house.rglob("*")) == before


def test_another_package_called_service_is_undisturbed(house: Path, tmp_path: Path) -> None:
    assert run(house, tmp_path, "python", "-c", "import service; print(service.mine)") == "True\n"
    said = f"byline {specification.version}\n"
    assert run(house, tmp_path, "byline", "--version") == said


def test_a_module_called_service_in_the_working_directory_is_ignored(
    house: Path, tmp_path: Path
) -> None:
    (tmp_path / "service.py").write_text("raise SystemExit('this is not it')\n")
    assert run(house, tmp_path, "python", "-m", "byline", "openapi").startswith("openapi: 3.0.3")
    assert not os.path.lexists(tmp_path / "instance")
