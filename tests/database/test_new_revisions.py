"""`make migration` writes a revision that runs as it is, in a copy of the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import postgres
from tests.kit.commands import COMMAND
from tests.kit.copies import copy_repository

MODEL = '''"""Projects."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from service.engine.database.transaction import db
from service.engine.database.types import Id, Time


class Project(db.Model):  # type: ignore[name-defined,misc] # made at run time
    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(80), unique=True, index=True)
    created_at: Mapped[str] = mapped_column(Time)
'''
LATER = "    done: Mapped[bool] = mapped_column(server_default=sa.false())\n"
CURRENT = "The schema is current.\n"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return copy_repository(tmp_path / "copy")


def run(copy: Path, *command: str, **settings: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(copy)} | settings
    done = subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_migration(copy: Path, name: str) -> None:
    # What is installed is as new as the lock files, whatever the times of the copies say.
    installed = [f"--old-file={sys.prefix}/{stamp}" for stamp in (".dev", ".run")]
    run(copy, "make", *installed, f"VENV={sys.prefix}", "migration", f"NAME={name}")


def declare(copy: Path, model: str) -> None:
    (copy / "service" / "models" / "projects.py").write_text(model)


def test_what_is_new_in_the_models_becomes_revisions_that_run_as_they_are(copy, tmp_path):
    declare(copy, MODEL)
    with (copy / "service" / "models" / "__init__.py").open("a") as models:
        models.write("from service.models.projects import Project as Project\n")
    make_migration(copy, "add projects")
    declare(copy, MODEL + LATER)
    make_migration(copy, "finish projects")

    ruff = [sys.executable, "-m", "ruff"]
    run(copy, *ruff, "check", "alembic")
    run(copy, *ruff, "format", "--check", "alembic")
    own = sorted((copy / "alembic" / "versions").glob("own_*"))
    assert [path.name for path in own] == [
        "own_0001_add_projects.py",
        "own_0002_finish_projects.py",
    ]
    assert not any("service" in path.read_text() for path in own)
    for url in (f"sqlite:///{tmp_path}/b.db", postgres.start()):
        for command in ("upgrade", "check", "downgrade --yes own@base", "upgrade", "check"):
            printed = run(copy, *COMMAND, "db", *command.split(), DATABASE_URL=url)
            assert printed == (CURRENT if "down" not in command else "The schema is behind.\n")
