"""The limiter's store as a cluster: if a node is lost, no request fails or waits long."""

from __future__ import annotations

import os
import signal

import pytest
from redis.crc import key_slot

from service.engine.limits import store as limit_store
from tests.kit import valkey
from tests.kit.limited import (
    Serve,
    burst,
    failures,
    guess,
    on,
    patiently,
    readiness,
    sharing,
    statuses,
)
from tests.kit.smtp import until


@pytest.fixture
def shared(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Serve:
    monkeypatch.setattr(limit_store, "RETRY_SECONDS", 0.2)
    return sharing(serve)


@pytest.mark.parametrize("coverage", [False, True])
@pytest.mark.parametrize("how", ["killed", "hanging"])
def test_a_cluster_may_lose_a_node(shared: Serve, how: str, coverage: bool) -> None:
    few = {"write": "3 per day", "account": "4 per day"}
    with valkey.cluster(cluster_require_full_coverage=coverage) as cluster:
        here, there = shared(cluster.url, **few), shared(cluster.url, **few)
        anna, ben = here.sign_up(), here.sign_up()
        assert statuses(anna, 1) + statuses(on(there, anna), 3) == [204, 204, 204, 429]
        lost = cluster.masters[1]
        if how == "killed":
            lost.terminate()
        else:
            os.kill(lost._process.pid, signal.SIGSTOP)
        until(lambda: {readiness(server)["status"] for server in (here, there)} == {"degraded"})
        for server in (here, there):
            assert statuses(on(server, ben), 4) == [204, 204, 204, 429]
        # The guard does without the store.
        assert [guess(server, ben.email) for server in (here, there) * 3] == [401] * 4 + [429] * 2
        if how == "killed":
            lost.start()
        else:
            os.kill(lost._process.pid, signal.SIGCONT)
        until(lambda: {readiness(server)["status"] for server in (here, there)} == {"ok"})
        assert statuses(ben, 2) + statuses(on(there, ben), 2) == [204, 204, 204, 429]


def test_a_hanging_node_delays_fifty_concurrent_requests_by_half_a_second(
    shared: Serve,
) -> None:
    with valkey.cluster(cluster_require_full_coverage=False) as cluster:
        server = shared(cluster.url)
        usual = max(burst(server), burst(server))
        frozen = cluster.masters[0]._process.pid
        os.kill(frozen, signal.SIGSTOP)
        # 0.4 s of it are planned. The rest is for a machine that does other things too.
        assert burst(server) - usual < 0.9
        until(lambda: readiness(server)["status"] == "degraded")
        os.kill(frozen, signal.SIGCONT)


def test_a_replica_takes_the_place_of_a_node(shared: Serve) -> None:
    with valkey.cluster(with_replicas=True, cluster_node_timeout=2000) as cluster:
        here, there = shared(cluster.url, write="3 per day"), shared(cluster.url, write="3 per day")
        anna = here.sign_up()
        cluster.masters[1].terminate()
        until(lambda: {readiness(server)["status"] for server in (here, there)} == {"degraded"})
        until(lambda: {readiness(server)["status"] for server in (here, there)} == {"ok"})
        assert statuses(anna, 1) + statuses(on(there, anna), 3) == [204, 204, 204, 429]


def test_a_server_can_start_before_its_cluster(shared: Serve) -> None:
    with valkey.cluster() as cluster:
        for node in cluster.masters:
            node.terminate()
        server = shared(cluster.url, write="2 per day")
        until(lambda: readiness(server)["status"] == "degraded")
        assert statuses(server.sign_up(), 3) == [204, 204, 429]
        for node in cluster.masters:
            node.start()
        until(lambda: readiness(server)["status"] == "ok")
        assert statuses(server.sign_up(), 3) == [204, 204, 429]


def test_slots_that_move_cost_no_request_and_no_count(
    shared: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    patiently(monkeypatch)
    with valkey.cluster() as cluster:
        here, there = shared(cluster.url, write="3 per day"), shared(cluster.url, write="3 per day")
        people = [here.sign_up() for _ in range(6)]  # whose counts are on all servers
        assert [statuses(one, 1) for one in people] == [[204]] * 6
        for place, port in enumerate(cluster.ports):
            first, last = place * valkey.SLOTS // 3, (place + 1) * valkey.SLOTS // 3 - 1
            following = valkey.ask(cluster.ports[(place + 1) % 3], "CLUSTER", "MYID")
            middle = (first + last) // 2
            move = ("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", middle, last, "NODE", following)
            assert valkey.ask(port, *move) == "OK"
        # Three times the end of one third and the beginning of the next are together now.
        until(lambda: {len(valkey.ask(port, "CLUSTER", "SLOTS")) for port in cluster.ports} == {4})
        for one in people:
            assert statuses(on(there, one), 1) == [204]
        assert [statuses(one, 2) for one in people] == [[204, 429]] * 6
        assert failures(here) + failures(there) == 0


def test_a_slot_on_its_way_costs_no_request(shared: Serve) -> None:
    with valkey.cluster() as cluster:
        server = shared(cluster.url, write="3 per day")
        anna = server.sign_up()
        assert statuses(anna, 1) == [204]
        ids = [valkey.ask(port, "CLUSTER", "MYID") for port in cluster.ports]
        for place, port in enumerate(cluster.ports):
            to = (place + 1) % 3
            for slot in {key_slot(key.encode()) for key in valkey.ask(port, "KEYS", "*")}:
                valkey.ask(cluster.ports[to], "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[place])
                valkey.ask(port, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to])
        assert statuses(anna, 5) == [204, 204, 204, 429, 429]  # counted here: a key is missing
        assert failures(server) == 0
