"""Each row of the table of faults, and what came of it, in a table at the end."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.kit import valkey
from tests.kit.ledger import NOTHING, compare
from tests.kit.load import Load
from tests.kit.postgres_cluster import Cluster, cluster

DESCRIPTORS = 14_000
_COLUMNS = (
    *("fault", "outcome", "requests", "acknowledged", "refused", "broken", "lost", "longest"),
    "more",
)


class Report:
    """What was done to a service, and what its clients were told: a line of the table.

    `broken` are connections, `longest` is in seconds.
    """

    def __init__(self) -> None:
        self.cells: dict[str, Any] = {}

    def __call__(self, fault: str | None = None, **cells: Any) -> None:
        self.cells |= cells | ({"fault": fault} if fault else {})

    def settle(self, load: Load, database_url: str, **answers: bool) -> None:
        """Count a load, and hold what it was promised against the database."""
        self.cells |= {
            "requests": load.requests,
            "acknowledged": len(load.acknowledged),
            "refused": load.statuses[503],
            "broken": load.statuses[0],
            "longest": f"{load.longest:.1f}",
        }
        found = compare(load, database_url)
        self.cells["lost"] = len(found.lost)
        assert found == NOTHING
        load.check(**answers)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    own = Report()
    request.node.user_properties.append(("fault", own.cells))
    return own


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A server that every test has to leave running, with a database for each."""
    with cluster(max_connections=200) as own:
        yield own


@pytest.fixture
def database(postgresql: Cluster, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"byline_{tmp_path.name.lower().replace('-', '_')}"[:60]
    yield postgresql.create(name)
    postgresql.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Enough of them for both ends of many connections; servers inherit the limit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as own:
        yield own


@pytest.fixture
def store() -> Iterator[Any]:
    """A Valkey of the test's own."""
    own = valkey.launch()
    yield own
    if own.is_running():
        own.stop()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    lines = []
    for outcome in ("passed", "failed", "error"):
        for phase in terminalreporter.getreports(outcome):
            cells = dict(getattr(phase, "user_properties", ())).get("fault")
            if cells and (phase.when == "call" or outcome != "passed"):
                lines.append({**cells, "outcome": outcome})
    if not lines:
        return
    rows = sorted([str(line.get(name, "")) for name in _COLUMNS] for line in lines)
    table = [_COLUMNS, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    terminalreporter.section("what was done, and what came of it")
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        terminalreporter.write_line("  ".join(cells).rstrip())
