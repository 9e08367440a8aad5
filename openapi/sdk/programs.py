"""Runs the programs that generate and build clients, out of .venv and openapi/node_modules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

NPM = Path(__file__).parents[1] / "node_modules" / ".bin"
BIN = Path(sys.executable).parent
# npm asks nobody for a newer npm, and leaves no logs at home.
QUIET = {"npm_config_update_notifier": "false", "npm_config_logs_max": "0"}
TOOLS = {**os.environ, **QUIET, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}


def run(folder: Path, *command: Path | str, **environment: str) -> None:
    """Run a program in the folder; its output is shown if it fails, and ends this one."""
    done = subprocess.run(  # noqa: S603 # the commands are written in this folder
        command,
        cwd=folder,
        env=TOOLS | environment,
        capture_output=True,
        text=True,
        check=False,
        umask=0o022,  # what goes into packages is readable for everybody, wherever it is made
    )
    if done.returncode:
        sys.exit(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")
