"""Follows a page of documentation to the letter: its commands, and its snippets where it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

# The fences of other blocks, such as text, are for readers only.
STEP = re.compile(
    r"nto\s`(?P<file>[^`]+)`, before\s`(?P<anchor>[^`]+)`\n\n```\w+\n(?P<text>.*?)```"
    r"|Create\s`(?P<new>[^`]+)`\n\n```\w+\n(?P<content>.*?)```"
    r"|^```sh\n(?P<commands>.*?)```",
    re.DOTALL | re.MULTILINE,
)
# What installs or takes minutes; the test that follows the page does these itself, or a part.
LONG = "run|test|test-quick|check|contract|faults|audit"
STAMPS = " ".join(f"--old-file=.venv/.{name}" for name in ("dev", "lint", "run", "sdk"))
MAKE = f"""#!/bin/sh
case "$1" in {LONG}) exit 0 ;; esac
exec {{make}} {STAMPS} "$@"
"""
COMMAND = """#!/bin/sh
exec {python} -c 'from service.cli import main; main(prog_name="{name}")' "$@"
"""


class Reader:
    """Who follows a page, in a folder from which `cd` leads on. Commands run with the packages of
    this interpreter, as if they were installed in `.venv`, and with the code of the folder."""

    def __init__(self, folder: Path, command: str) -> None:
        self.folder = folder
        self._command = command
        self._programs = folder / "programs"
        self._programs.mkdir()
        make = subprocess.check_output(["which", "make"], text=True).strip()
        _script(self._programs / "make", MAKE.format(make=make))

    def follow(self, page: str) -> None:
        for step in STEP.finditer(page):
            if step["commands"]:
                self.run(step["commands"])
            elif step["new"]:
                path = self.folder / step["new"]
                path.parent.mkdir(exist_ok=True)
                path.write_text(step["content"])
            else:
                path = self.folder / step["file"]
                before = path.read_text()
                assert before.count(step["anchor"]) == 1, step[0]
                path.write_text(before.replace(step["anchor"], step["text"] + step["anchor"]))

    def run(self, commands: str) -> str:
        """What they print; each has to succeed."""
        own = {
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder),
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{f"GIT_{who}_NAME": "Reader" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "reader@example.com" for who in ("AUTHOR", "COMMITTER")},
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{commands}\npwd"],
            cwd=self.folder,
            env=os.environ | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        *printed, folder = done.stdout.splitlines()
        if self.folder != Path(folder):
            self.folder = Path(folder)
            self._install()
        return "\n".join(printed)

    def _install(self) -> None:
        """A `.venv` with what this interpreter has, and the command of the service."""
        there, here = Path(sys.prefix), self.folder / ".venv"
        (here / "bin").mkdir(parents=True)
        for path in (*there.glob("bin/*"), there / "lib", there / "pyvenv.cfg"):
            if path.name != self._command:  # writing to a link would write to what it leads to
                (here / path.relative_to(there)).symlink_to(path)
        python = here / "bin" / "python"
        _script(here / "bin" / self._command, COMMAND.format(python=python, name=self._command))


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
