"""A copy of the repository, for tests that change it and then run the tests of the copy."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile

import orjson
import pytest
from connexion.spec import Specification

from service.specification import specification
from tests.kit import forked, shared_starts
from tests.kit.made_once import made_once

ROOT = Path(__file__).parents[2]
PATIENCE = 600.0  # seconds, on a busy machine
# Only named plugins: loading all that are installed takes longer than most tests.
OPTIONS = ("--override-ini=addopts=--import-mode=importlib", "-p", "no:cacheprovider")

# What all tests import; importing them takes longer than most tests.
LIBRARIES = (
    *("pytest", "aiosmtpd.controller", "alembic.autogenerate", "alembic.command", "argon2"),
    *("connexion", "connexion.apps.flask", "email_validator", "flask_limiter", "flask_sqlalchemy"),
    *("flask_swagger_ui", "h11", "httpcore", "httptools", "jsonschema_path", "jsonschema_rs"),
    *("jwt", "openapi_core", "openapi_spec_validator", "orjson", "prometheus_client", "psycopg"),
    *("pydantic_settings", "pyotp", "segno", "sqlalchemy.dialects.sqlite", "starlette.testclient"),
    *("uvicorn.lifespan.on", "uvicorn.loops.uvloop", "webauthn"),
)

# All modules of the repository must come from the copy.
_PYTEST = """
import sys
for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
    del sys.modules[name]
sys.path[:] = ["{copy}", *(path for path in sys.path if path not in ("", "{root}"))]
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def copy_repository(folder: Path) -> Path:
    """Copy the repository as it is now into the folder, without what git ignores."""
    lines = (ROOT / ".gitignore").read_text().splitlines()
    ignored = [line.strip("/") for line in lines if not line.startswith("#")]
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", *ignored))
    return folder


def run_tests(copy: Path, *arguments: str) -> tuple[int, str]:
    """Run pytest in the copy, which imports and starts the copy's code; exit code and output."""
    # With its own temporary folder: in a shared one, two runs of pytest remove the same files.
    options = [*OPTIONS, "--basetemp", str(copy.with_name(f"{copy.name}-tmp"))]
    with TemporaryFile() as output:
        process = forked.Process(
            [_PYTEST.format(copy=copy, root=ROOT), *options, *arguments],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), **_environment()},
            stdout=output,
            stderr=output,
            modules=LIBRARIES,
        )
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # so that it stops the processes that it started
            code = process.wait()
        output.seek(0)
        return code, output.read().decode()


@cache
def _environment() -> dict[str, str]:
    """What pytest needs to know. Connexion takes a third of a short run to validate a
    specification, and finds the same as here in one that is the same."""
    Specification.from_dict(specification.document)
    valid = shared_starts.hashed(orjson.dumps(specification.document))
    return {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", shared_starts.VALID: valid}


def known_types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy knows of the repository, for `check_types`; the first test of a run finds out."""

    def check(folder: Path) -> None:
        if (known := ROOT / ".mypy_cache").exists():
            shutil.copytree(known, folder / "cache", ignore=shutil.ignore_patterns("*.lock"))
        _mypy(ROOT, folder / "cache")

    return made_once(tmp_path_factory, "types", check) / "cache"


def check_types(copy: Path, known: Path) -> str:
    """What mypy complains about in the copy; it checks what differs from the repository."""
    cache = copy.with_name(f"{copy.name}-types")
    shutil.copytree(known, cache)
    return _mypy(copy, cache)


def _mypy(folder: Path, cache: Path) -> str:
    command = [sys.executable, "-m", "mypy", "--cache-dir", cache, "--no-error-summary"]
    own = os.environ | {"PYTHONPATH": str(folder)}
    run = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    return "" if run.returncode == 0 else f"{run.stdout}{run.stderr}"
