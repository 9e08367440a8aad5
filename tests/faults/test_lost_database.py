"""The database crashes, stops, freezes and returns: quick refusals, and no lost writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.kit.load import LONGEST, Load, complaint
from tests.kit.postgres_cluster import Cluster, cluster
from tests.kit.processes import Account, Byline, Place, sign_up
from tests.kit.proxies import pgbouncer

AWAY = 3.0  # seconds; frozen for twice as long, which is longer than a statement may take


@pytest.fixture
def own() -> Iterator[Cluster]:
    """A PostgreSQL that the test may do anything to."""
    with cluster() as server:
        yield server


@pytest.fixture(params=["direct", "by way of PgBouncer"])
def place(request: pytest.FixtureRequest, own: Cluster, tmp_path: Path, stack: ExitStack) -> Place:
    url = schema = own.create("byline")
    if request.param != "direct":
        url = stack.enter_context(pgbouncer(own)) + "/byline?pgbouncer=true"
    return Place(tmp_path / "place", schema, DATABASE_URL=url)


FAULTS: dict[str, tuple[Callable[[Cluster], None], Callable[[Cluster], None]]] = {
    "kill -9 of PostgreSQL": (Cluster.kill, Cluster.start),
    "pg_ctl stop -m immediate": (lambda own: own.stop("immediate"), Cluster.start),
    "PostgreSQL is stopped and started": (Cluster.stop, Cluster.start),
    "PostgreSQL freezes": (Cluster.freeze, Cluster.thaw),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lost_database_loses_nothing(
    fault: str, own: Cluster, place: Place, request: pytest.FixtureRequest, report: Any
) -> None:
    way = request.node.callspec.params["place"]
    report(f"{fault} under writes, {way}")
    go, come_back = FAULTS[fault]
    with place.serving() as byline:
        accounts = [sign_up(byline.url) for _ in range(3)]
        load = Load(byline.url, accounts)
        with load.running():
            load.go_on(20)
            go(own)
            _is_away(byline, accounts[0])
            load.hold(AWAY * 2 if fault == "PostgreSQL freezes" else AWAY)
            come_back(own)
            began = time.monotonic()
            load.go_on(20)
            recovery = time.monotonic() - began
        byline.wait()
        retried = load.settle()
        report.settle(load, own.url("byline"), refuses=True)
        report(more=f"writes again after {recovery:.1f} s, {retried} retried")
        assert load.statuses[503]


def _is_away(byline: Byline, account: Account) -> None:
    """What holds while there is no database: the process lives, and nobody becomes a stranger."""
    assert byline.get("/health/live").raise_for_status().elapsed < timedelta(seconds=1)
    byline.wait("/health/ready", 503)
    for path in ("/auth/me", "/api/posts"):
        refusal = byline.get(path, headers=account.bearer)
        assert complaint(refusal, set()) is None
        assert refusal.elapsed < timedelta(seconds=LONGEST)
