"""Builds the wheel: one package named like the project, in which everything stands as it does here.

It imports nothing of the service because setuptools runs it before anything is installed.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parents[1]
SPECIFICATION = Path("openapi", "openapi.yaml")
_INFO = re.compile(r"^info:\n(?:  .*\n)*?  version: ['\"]?([\w.]+)", re.MULTILINE)


def _version() -> str:
    """The version of the specification. Reading YAML takes a library, and there may be none yet."""
    found = _INFO.search((ROOT / SPECIFICATION).read_text("utf-8"))
    if found is None:
        raise ValueError(f"{SPECIFICATION} has no version in its info")
    return found[1]


VERSION = _version()


class BuildPy(build_py):
    """`build_py` that nests the service in the package; an editable install reads the checkout."""

    def run(self) -> None:
        if self.editable_mode:
            super().run()
            return
        # What an earlier build has left there would go into this wheel.
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        package = Path(self.build_lib, self.distribution.get_name())
        (package / SPECIFICATION.parent).mkdir(parents=True)
        launcher = package.with_suffix(".py")
        shutil.copy(launcher, package / "__main__.py")
        launcher.rename(package / "__init__.py")
        shutil.copy(ROOT / SPECIFICATION, package / SPECIFICATION)
        ignored = shutil.ignore_patterns("__pycache__")
        for folder in ("service", "alembic"):
            shutil.copytree(ROOT / folder, package / folder, ignore=ignored)
