"""Rate limits counted in memory match the memory storage of the library `limits`."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from limits import parse
from limits.storage import MemoryStorage, memory
from limits.strategies import SlidingWindowCounterRateLimiter

from service.engine.limits import memory as windows
from tests.kit.planning import Planner


@pytest.mark.parametrize("seed", range(20))
def test_counts_in_memory_match_the_storage_of_the_limits_library(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=1_000_000.0)
    clock.time = lambda: clock.now
    monkeypatch.setattr(windows, "time", clock)
    monkeypatch.setattr(memory, "time", clock)
    ours, theirs = (
        SlidingWindowCounterRateLimiter(storage) for storage in (windows.Windows(), MemoryStorage())
    )
    chance = random.Random(seed)
    limits = [parse("5 per minute"), parse("9 per 2 minutes"), parse("3 per second")]
    for _ in range(400):
        clock.now += chance.choice([0, 0.01, 0.3, 1, 7, 30, 61, 200])
        limit, key = chance.choice(limits), chance.choice("ab")
        for strategy in (ours, theirs):
            strategy.outcome = strategy.hit(limit, key)
        if chance.random() < 0.05:
            for strategy in (ours, theirs):
                strategy.clear(limit, key)
        assert ours.outcome == theirs.outcome
        for limit in limits:
            stats = [
                s.storage.get_sliding_window(limit.key_for(key), limit.get_expiry())
                for s in (ours, theirs)
            ]
            assert [stats[0][0], stats[0][2]] == [stats[1][0], stats[1][2]]


def test_expired_counts_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1_000_000.0)
    clock.time = lambda: clock.now
    monkeypatch.setattr(windows, "time", clock)
    storage = windows.Windows()
    for number in range(1000):
        storage.acquire_sliding_window_entry(str(number), 5, 60)
    clock.now += 180
    storage.acquire_sliding_window_entry("one", 5, 60)
    [window] = storage._windows.values()
    assert (window.previous, window.current) == ({}, {"one": 1})


def test_setting_the_clock_back_locks_nobody_out(
    serve: Callable[..., Planner], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=1_000_000.0)
    clock.time = lambda: clock.now
    monkeypatch.setattr(windows, "time", clock)
    server = serve(rate_limit_enabled=True, rate_limit_client="5 per minute")
    with server.client() as client:

        def statuses(number: int) -> list[int]:
            return [client.get("/projects").status_code for _ in range(number)]

        assert statuses(3) == [200] * 3
        clock.now -= 3600
        assert statuses(3) == [200, 200, 429]  # what was counted still counts
        clock.now += 121
        assert statuses(3) == [200] * 3
