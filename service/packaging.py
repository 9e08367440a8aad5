"""Builds the wheel: the contract and the migrations, which stand beside the package, go into it.

It imports nothing of the service because setuptools runs it before anything is installed.
"""

from __future__ import annotations

from pathlib import Path
from shutil import copytree, ignore_patterns

from setuptools.command.build_py import build_py

ROOT = Path(__file__).parents[1]


class BuildPy(build_py):
    """`build_py` that adds the bundle; an editable install reads the checkout instead."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        bundle = Path(self.build_lib, "service", "bundle")
        (bundle / "openapi").mkdir(parents=True, exist_ok=True)
        self.copy_file(str(ROOT / "openapi" / "openapi.yaml"), str(bundle / "openapi"))
        ignored = ignore_patterns("__pycache__")
        copytree(ROOT / "alembic", bundle / "alembic", ignore=ignored, dirs_exist_ok=True)
