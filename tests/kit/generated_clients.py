"""The generated clients: made and installed by the first test of a run that needs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.made_once import made_once
from tests.kit.programs import NPM, npm_programs

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PIP = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
NPM_INSTALL = ["install", "--offline", "--no-audit", "--no-fund", "--silent"]
CHECK = [
    "--strict",
    "--exactOptionalPropertyTypes",
    "--noEmit",
    "--target",
    "es2022",
    "--lib",
    "es2022,dom",
]
STRICT = [*CHECK, "--typeRoots", str(NPM.parent / "@types")]


def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the output of `make sdk` in `clients`; what is in `clients/dist` is installed
    in `site` and `node_modules`."""
    npm_programs()
    return made_once(tmp_path_factory, "sdk", _generate)


def run(*command: Path | str, cwd: Path | None = None, **more: str) -> str:
    """The output of a program of the virtual environment; AssertionError if it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def environment(**more: str) -> dict[str, str]:
    """Environment variables with the virtual environment (which has Node.js) first in PATH."""
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **more}


def node(program: Path, *arguments: str | Path, cwd: Path | None = None) -> str:
    return run(BIN / "node", program, *arguments, cwd=cwd)


def tsc(folder: Path, *programs: str) -> None:
    """Compile programs of the folder for Node.js, strictly."""
    types = ["--module", "nodenext", "--erasableSyntaxOnly", "--types", "node"]
    node(NPM / "tsc", *STRICT, *types, *programs, cwd=folder)


def _generate(folder: Path) -> None:
    run(sys.executable, "-m", "openapi.sdk.generate", folder / "clients", cwd=ROOT)
    dist = folder / "clients" / "dist"
    run(sys.executable, *PIP, "--target", folder / "site", *dist.glob("*.whl"))
    (folder / "package.json").write_text(json.dumps({"type": "module"}))
    run(BIN / "npm", *NPM_INSTALL, *dist.glob("*.tgz"), cwd=folder)
