"""Both clients do the whole tour against a live server (test_types.py compiles it)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.sdk.clients import node, run

HERE = Path(__file__).parent


@pytest.fixture
def addresses(serve: Callable[..., Server]) -> list[str]:
    """Of a server, and of one with the same database whose access tokens expire soon."""
    return [serve().url, serve(access_token_ttl=1).url]


def test_the_tour_in_python(clients: Path, addresses: list[str]) -> None:
    run(sys.executable, HERE / "tour.py", *addresses, PYTHONPATH=str(clients / "site"))


def test_the_tour_in_typescript(clients: Path, addresses: list[str]) -> None:
    node(Path(shutil.copy(HERE / "tour.ts", clients)), *addresses)
