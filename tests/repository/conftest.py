"""Copies of the repository, checked by its tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit import copies


@pytest.fixture(scope="session")
def known_types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copies.known_types(tmp_path_factory)
