"""What the Dockerfile would make, made without Docker by its own steps, serves and migrates."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import httpx
import pytest

from service.settings import Settings
from tests.kit.ports import free_port
from tests.kit.smtp import until

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
STRANGER = 10001
UNREACHABLE = "after connection broken by"  # says pip, when there is no network


def instructions() -> list[tuple[str, str]]:
    """The lines of the Dockerfile, joined where they go on, as (instruction, arguments)."""
    lines = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in lines.splitlines() if line]


STEPS = instructions()
FINAL = max(number for number, (what, _) in enumerate(STEPS) if what == "FROM")
LAST = dict(STEPS[FINAL:])


def is_let_through(path: Path) -> bool:
    """Whether .dockerignore leaves a file in the context; the last line that matches decides."""
    taken = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            names = path.parts if "**/" in line else (path.parts[0], str(path))
            if any(fnmatch(name, pattern) for name in names):
                taken = line.startswith("!")
    return taken


class Image:
    """The file system below `root` after the first stage, and commands run in it."""

    def __init__(self, root: Path, python: str) -> None:
        self.root = root
        self.python = python
        for what, arguments in STEPS[:FINAL]:
            if what == "COPY":
                self._copy(*arguments.split())
            elif what == "RUN":
                self._run(arguments)

    def _copy(self, source: str, target: str) -> None:
        app = self.root / "app"
        app.mkdir(exist_ok=True)
        assert target in {".", "./"}
        for path in ROOT.rglob("*") if source == "." else [ROOT / source]:
            name = path.relative_to(ROOT)
            if path.is_file() and is_let_through(name):
                (app / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, app / name)

    def _run(self, line: str) -> None:
        line = re.sub(r"(?<![\w.])/(app|venv|state)\b", rf"{self.root}/\1", line)
        line = line.replace("--no-cache-dir ", "")  # or the test downloads what is here already
        line = re.sub(r"^python ", f"{self.python} ", line)
        done = subprocess.run(
            ["sh", "-ec", line],
            cwd=self.root / "app" if (self.root / "app").exists() else self.root,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        said = done.stdout + done.stderr
        if done.returncode and UNREACHABLE in said:
            pytest.skip("the package index cannot be reached")
        assert done.returncode == 0, said

    def start(self, command: list[str], **settings: str) -> subprocess.Popen[str]:
        """The command as in a container: as a user without a name, on what nobody can write."""
        variables = dict(pair.split("=", 1) for pair in LAST["ENV"].split())
        path = f"{self.root}/venv/bin:{os.environ['PATH']}"
        return subprocess.Popen(
            command,
            cwd=self.root / "app",
            env=variables | {"PATH": path, "HOME": "/nonexistent"} | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **({"user": STRANGER, "group": STRANGER, "extra_groups": []} if _is_root() else {}),
        )

    def run(self, *command: str, expected: int = 0, **settings: str) -> str:
        process = self.start(list(command), **settings)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == expected, said
        return said


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    # Not one of pytest's folders: a stranger could not enter it.
    with tempfile.TemporaryDirectory(prefix="byline-image-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        made = Image(root, _python())
        _protect(root, 0o555)
        yield made
        _protect(root, 0o755)


def test_the_image_migrates_makes_keys_serves_and_shuts_down(image):
    with tempfile.TemporaryDirectory(prefix="byline-tmp-") as folder:
        Path(folder).chmod(0o777)
        port = free_port()
        settings = {
            "DATABASE_URL": f"sqlite:///{folder}/byline.db",
            "JWT_KEYS_DIR": f"{folder}/keys",
            "MAIL_DIR": f"{folder}/mail",
            "PORT": str(port),
            "HOST": "127.0.0.1",
            "SHUTDOWN_DELAY": "0",
        }
        before = sorted(image.root.rglob("*"))
        assert "current" in image.run("byline", "db", "upgrade", **settings)
        image.run("byline", "keys", "generate", **settings)
        server = image.start(json.loads(LAST["CMD"]), **settings)
        try:
            until(lambda: server.poll() is not None or _answers(port))
            new = {"email": "anna@example.com", "password": "correct horse battery staple"}
            made = httpx.post(f"http://127.0.0.1:{port}/auth/register", json=new)
            check = json.loads(LAST["HEALTHCHECK"].partition(" CMD ")[2])
            image.run(*check, **settings)
        finally:
            server.terminate()
            said, _ = server.communicate(timeout=60)
        assert made.status_code == 201, said
        assert server.returncode in {0, -15}, said
        image.run(*check, expected=1, **settings)
        assert sorted(image.root.rglob("*")) == before


def test_the_image_contains_only_what_the_service_needs(image):
    names = {path.name for path in (image.root / "app").iterdir()} - {"__pycache__"}

    assert names == {
        "alembic",
        "alembic.ini",
        "app.py",
        "byline.py",
        "docs",
        "openapi",
        "pyproject.toml",
        "requirements.lock",
        "service",
    }
    assert {path.name for path in (image.root / "app" / "docs").iterdir()} == {"package.md"}
    assert not list((image.root / "venv").glob("bin/pip*"))


def test_the_image_runs_as_a_numeric_user_and_stops_on_sigterm():
    user, _, group = LAST["USER"].partition(":")

    assert int(user) == int(group) == STRANGER
    assert LAST["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(LAST["CMD"]) == ["byline", "serve"]
    variables = dict(pair.split("=", 1) for pair in LAST["ENV"].split())
    known = {name.upper() for name in Settings.model_fields}
    assert set(variables) - known <= {"PATH", "MALLOC_ARENA_MAX"}
    assert {what for what, _ in STEPS if what == "ADD"} == set()


def test_hadolint_has_nothing_to_say():
    found = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip("hadolint is not installed")
    said = subprocess.run(
        [found, ROOT / "deploy" / "Dockerfile"], capture_output=True, text=True, check=False
    )

    assert said.stdout + said.stderr == ""


def _is_root() -> bool:
    return os.geteuid() == 0


def _python() -> str:
    """One that a stranger may run too, where that is the question."""
    for name in (sys._base_executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if not _is_root():
            return name
        probe = "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"
        try:
            done = subprocess.run(
                [name, "-c", probe], user=STRANGER, group=STRANGER, extra_groups=[], check=False
            )
        except OSError:
            continue
        if done.returncode == 0:
            return name
    pytest.skip("root's Python is for root alone, and there is no other")


def _protect(root: Path, mode: int) -> None:
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        folder.chmod(mode)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready").is_success
    except httpx.HTTPError:
        return False
