"""A Byline to save and restore, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.kit.installations import Installation, PostgresInstallation
from tests.kit.postgres_cluster import cluster


@pytest.fixture
def open_ground() -> Iterator[Path]:
    """A folder that PostgreSQL's user can reach; pytest's own are closed by its next run."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def byline(request: pytest.FixtureRequest, open_ground: Path) -> Iterator[Installation]:
    if request.param == "sqlite":
        yield Installation(open_ground / "byline")
        return
    with cluster(open_ground / "cluster") as own:
        yield PostgresInstallation(open_ground / "byline", cluster=own)
