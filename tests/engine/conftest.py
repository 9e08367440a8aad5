"""The fixtures of the other tests, here of the planner: `server`, `serve`, `anna` and so on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from tests.kit import postgres
from tests.kit.attack import Attack
from tests.kit.planning import Planner, planning


@pytest.fixture(scope="session")
def _planners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Planner]]:
    """Starts a planner on a database, once in a process."""
    with ExitStack() as stack:

        @cache
        def _start(database: str) -> Planner:
            own = {} if database == "sqlite" else {"database_url": postgres.start()}
            folder = tmp_path_factory.mktemp(f"planner-{database}")
            return stack.enter_context(planning(folder, **own))

        yield _start


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, _planners: Callable[[str], Planner]) -> Planner:
    """The planner that most tests of the engine share, without limits, once on each database."""
    return _planners(request.param)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Planner]]:
    """Starts a planner of the test's own: `serve(rate_limit_enabled=True)`; on SQLite, or where
    SERVE_ON=postgresql asks for it, on PostgreSQL."""
    is_embedded = os.environ.get("SERVE_ON", "sqlite") == "sqlite"
    own = {} if is_embedded else {"database_url": postgres.start()}
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(planning(tmp_path, **own | settings))


@pytest.fixture
def attack(server: Planner) -> Iterator[Attack]:
    """One attacker for each test, and a look at the server afterwards."""
    attack = Attack(server)
    yield attack
    assert attack.is_well()
