"""Builds the wheel: the contract and the migrations, which stand beside the package, go into it."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree, ignore_patterns

from setuptools.command.build_py import build_py

from service.places import BUNDLE, MIGRATIONS, OPENAPI


class BuildPy(build_py):
    """`build_py` that adds the bundle; an editable install reads the checkout instead."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        bundle = Path(self.build_lib, "service", BUNDLE.name)
        (bundle / "openapi").mkdir(parents=True, exist_ok=True)
        self.copy_file(str(OPENAPI), str(bundle / "openapi"))
        copytree(
            MIGRATIONS,
            bundle / MIGRATIONS.name,
            ignore=ignore_patterns("__pycache__"),
            dirs_exist_ok=True,
        )
