"""Three PostgreSQL under Patroni lose their primary, but no write that was acknowledged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.kit.load import Load
from tests.kit.patroni import Member, Servers, patroni
from tests.kit.processes import Byline, Place, sign_up
from tests.kit.smtp import until

RESUMES_WITHIN = 30.0  # seconds after the promotion

FAULTS: dict[str, tuple[Callable[[Member], None], Callable[[Member], None]]] = {
    "killed": (Member.kill, Member.start),
    "frozen": (Member.freeze, Member.thaw),
    "cut off": (Member.cut_off, Member.reconnect),
    "cut off, but not from its clients": (
        partial(Member.cut_off, from_clients=False),
        Member.reconnect,
    ),
}


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with patroni() as own:
        yield own


@pytest.fixture(scope="module")
def place(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("failover")
    return Place(folder, DATABASE_URL=servers.create("byline"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failover_loses_nothing(fault: str, servers: Servers, place: Place, report: Any) -> None:
    report(f"a primary under Patroni is {fault}")
    go, come_back = FAULTS[fault]
    more = {"DATABASE_REPLICA_URL": servers.url("byline")} if fault == "killed" else {}
    with place.serving(**more) as byline:
        load = Load(byline.url, [sign_up(byline.url) for _ in range(3)], writers=4)
        with load.running():
            load.go_on(20)
            old = servers.primary()
            go(old)
            until(lambda: load.statuses[503])
            assert byline.get("/health/live").elapsed < timedelta(seconds=1)
            new = servers.successor(old)
            promoted = time.monotonic()
            load.go_on(1, within=RESUMES_WITHIN)
            recovery = time.monotonic() - promoted
            come_back(old)
            until(lambda: old.is_in_recovery() is not False)  # it learns that it is deposed
            load.go_on(20)
        servers.wait()
        byline.wait()
        retried = load.settle()
        report.settle(load, new.url("byline"), refuses=True)
        report(more=f"writes again {recovery:.1f} s after the promotion, {retried} retried")
        assert servers.primary() is new
        if more:
            reads = _replica_reads(byline)
            until(lambda: byline.get("/api/users") and _replica_reads(byline) > reads)
        else:
            assert not old.execute("SELECT 1 FROM pg_stat_activity WHERE datname = 'byline'")


def _replica_reads(byline: Byline) -> float:
    """How many reads the replica has answered."""
    lines = byline.get("/metrics").text.splitlines()
    [line] = [one for one in lines if 'replica_reads_total{outcome="replica"}' in one]
    return float(line.split()[-1])
