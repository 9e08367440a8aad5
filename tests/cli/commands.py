"""Runs commands in processes of their own, and looks at what they left in the database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from service import create_flask
from service.database import db
from service.settings import load

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from service.cli import main; main(prog_name='byline')"]
PASSWORD = "correct horse battery staple"


def environment(folder: Path, **settings: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    home = f"sqlite:///{folder}/byline.db"
    return {**kept, "PYTHONPATH": str(ROOT), "DATABASE_URL": home, **settings}


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def rows(statement):
    with create_flask(load()).app_context():
        with db.engine.connect() as connection:
            found = connection.execute(statement).all()
        db.engine.dispose()
    return found


def execute(*statements):
    with create_flask(load()).app_context():
        with db.transaction() as transaction:
            for statement in statements:
                transaction.connection().execute(statement)
            transaction.commit()
        db.engine.dispose()
