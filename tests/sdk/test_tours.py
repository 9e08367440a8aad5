"""Both clients compile strictly, and do the whole tour against a live server."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import test_guide
from tests.conftest import Server
from tests.sdk.clients import BIN, node, run, tsc

HERE = Path(__file__).parent
MYPY = ["--strict", "--no-incremental", "--no-error-summary", "--config-file="]


@pytest.fixture
def addresses(serve: Callable[..., Server]) -> list[str]:
    """Of a server, and of one with the same database whose access tokens expire soon."""
    return [serve().url, serve(access_token_ttl=1).url]


def test_the_python_client_and_what_uses_it_are_typed(clients: Path) -> None:
    site = clients / "site"
    (clients / "guide.py").write_text(test_guide.program("python"))
    programs = [HERE / "tour.py", HERE / "problems.py", clients / "guide.py"]
    run(BIN / "mypy", *MYPY, site / "byline_client", *programs, MYPYPATH=str(site))


def test_the_tour_in_python(clients: Path, addresses: list[str]) -> None:
    run(sys.executable, HERE / "tour.py", *addresses, PYTHONPATH=str(clients / "site"))


def test_the_tour_in_typescript(clients: Path, addresses: list[str]) -> None:
    shutil.copy(HERE / "tour.ts", clients)
    tsc(clients, "tour.ts")
    node(clients / "tour.js", *addresses)
