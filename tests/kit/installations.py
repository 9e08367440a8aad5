"""Installations of Byline, a folder and a database, with the backup steps of the guide."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.kit.commands import run, serving
from tests.kit.operations_guide import follow, snippet
from tests.kit.postgres_cluster import Cluster

_HOME, _BACKUPS = "/var/lib/byline", "/var/backups/byline"
_NAMED, _NOW = f"{_BACKUPS}/20260101T000000Z", "$(date -u +%Y%m%dT%H%M%SZ)"


@dataclass
class Installation:
    """A Byline on an SQLite file, with its keys in `instance/keys`."""

    home: Path
    engine = "SQLite"
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir()
        self.settings |= {"RATE_LIMIT_ENABLED": "false"} | self._addresses()

    @contextmanager
    def serving(self) -> Iterator[str]:
        with serving(self.home, **self.settings) as url:
            yield url

    def run(self, *arguments: str) -> Any:
        return run(self.home, *arguments, **self.settings)

    def back_up(self) -> Path:
        """Make a backup; clients may write meanwhile."""
        name = secrets.token_hex(4)
        backups = self.home.with_name("backups")
        self._follow("back up", {_HOME: self.home, _BACKUPS: backups, _NOW: name})
        return backups / name

    def restore(self, backup: Path) -> str:
        """Restore a backup; the output of the commands."""
        return self._follow("restore", {_NAMED: backup, _HOME: self.home})

    def lose_keys(self) -> None:
        shutil.rmtree(self.keys)

    @property
    def keys(self) -> Path:
        return self.home / "instance" / "keys"

    def ask(self, statement: str) -> Any:
        """The single value that a statement returns."""
        with closing(sqlite3.connect(self.home / "instance" / "byline.db")) as connection:
            return connection.execute(statement).fetchone()[0]

    def end_sessions(self) -> None:
        with closing(sqlite3.connect(self.home / "instance" / "byline.db")) as connection:
            connection.executescript(snippet("end the sessions"))

    def damages(self) -> list[Any]:
        """Errors found by the database's own check."""
        with closing(sqlite3.connect(self.home / "instance" / "byline.db")) as connection:
            connection.execute(
                "INSERT INTO post_search (post_search, rank) VALUES ('integrity-check', 1)"
            )
            found = connection.execute("PRAGMA integrity_check").fetchall()
            found += connection.execute("PRAGMA foreign_key_check").fetchall()
        return [row for row in found if row != ("ok",)]

    def _addresses(self) -> dict[str, str]:
        url = f"sqlite:///{self.home}/instance/byline.db"  # absolute: this process migrates it too
        return {"DATABASE_URL": url, "JWT_KEYS_DIR": "instance/keys"}

    def _follow(self, name: str, places: dict[str, Any]) -> str:
        return follow(f"{name} {self.engine}", self.home, places, **self.settings)


@dataclass
class PostgresInstallation(Installation):
    """A Byline on a database of a PostgreSQL cluster, with its keys in `keys`."""

    engine = "PostgreSQL"
    cluster: Cluster = None  # type: ignore[assignment] # a field with a default comes before it

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.run("keys", "generate").returncode == 0

    def restore(self, backup: Path) -> str:
        self.settings |= self._addresses()
        return super().restore(backup)

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    def ask(self, statement: str) -> Any:
        with psycopg.connect(self.settings["DATABASE_URL"]) as connection:
            return connection.execute(statement).fetchone()[0]

    def end_sessions(self) -> None:
        with psycopg.connect(self.settings["DATABASE_URL"]) as connection:
            connection.execute(snippet("end the sessions"))

    def damages(self) -> list[Any]:
        with psycopg.connect(self.settings["DATABASE_URL"]) as connection:
            return connection.execute(
                "SELECT conname FROM pg_constraint WHERE NOT convalidated"
                " UNION SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
            ).fetchall()

    def _addresses(self) -> dict[str, str]:
        """The settings, with a new and empty database."""
        name = f"byline_{secrets.token_hex(4)}"
        return {"DATABASE_URL": self.cluster.create(name), "JWT_KEYS_DIR": str(self.home / "keys")}
