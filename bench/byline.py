"""The command `byline` in a clean environment, without settings from this shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from service.cli import main; main()"]
ENDLESS = "1000000000 per minute"


def settings(database_url: str, keys: Path | str, **more: str) -> dict[str, str]:
    """An environment for Byline and its peers."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database_url,
        "JWT_KEYS_DIR": str(keys),
        "SHUTDOWN_DELAY": "0",
        **more,
    }


def as_in_production(database_url: str, keys: Path, **more: str) -> dict[str, str]:
    """Everything on: a log line for each request, and limits that count but never refuse."""
    policies = ("login", "account", "write", "export", "search")
    return settings(
        database_url,
        keys,
        ACCESS_TOKEN_TTL="86400",
        LOG_FORMAT="json",
        LOG_LEVEL="INFO",
        RATE_LIMIT_CLIENT=ENDLESS,
        RATE_LIMITS=",".join(f"{policy}={ENDLESS}" for policy in policies),
        **more,
    )


def run(folder: Path, environment: dict[str, str], *arguments: str) -> None:
    subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def serve(_port: int) -> list[str]:
    """The command that serves; the port is in the environment."""
    return [*COMMAND, "serve"]
