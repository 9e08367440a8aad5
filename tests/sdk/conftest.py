"""The clients that `make sdk` makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.generated_clients import generated


@pytest.fixture(scope="session")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the clients are, generated and installed (`tests.kit.generated_clients.generated`)."""
    return generated(tmp_path_factory)
