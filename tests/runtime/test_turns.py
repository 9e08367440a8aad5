"""Hashing takes turns: a network that sends much waits or is refused, and delays no other."""

from __future__ import annotations

import asyncio
import threading

import pytest

from service.engine.problems import Unavailable
from service.engine.work import fair_threads as turns
from service.engine.work.fair_threads import MAX_WAITING_PER_SITE, FairPool

HONEST = "198.51.100.7"


class Stage:
    """A pool of one thread that is held up, and what it runs once it is let go, in order."""

    def __init__(self, capacity: int = 8) -> None:
        self.pool = FairPool("turns", 1, capacity)
        self.ran: list[str] = []
        self.calls: dict[str, asyncio.Future[None]] = {}
        self._held, self._go = threading.Event(), threading.Event()

    async def __aenter__(self) -> Stage:
        def hold() -> None:
            self._held.set()
            self._go.wait(60)

        self._holding = asyncio.ensure_future(self.pool.run(hold))
        await asyncio.to_thread(self._held.wait, 60)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._go.set()
        await asyncio.gather(self._holding, *self.calls.values(), return_exceptions=True)
        self.pool.close()

    async def ask(self, origin: str, name: str = "") -> None:
        """Have something run for a client, which fails: a success would make its network's next
        call come sooner. Returns as soon as it waits or is refused."""
        name = name or origin
        call = self.pool.run(self._run, name, origin=origin)
        self.calls[name] = asyncio.ensure_future(call)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _run(self, name: str) -> None:
        self.ran.append(name)
        raise LookupError(name)

    def refused(self) -> set[str]:
        return {
            name
            for name, call in self.calls.items()
            if call.done() and isinstance(call.exception(), Unavailable)
        }


def cost(pool: FairPool, *origins: str) -> None:
    """Have these clients' jobs run and fail, as it looks from the queue."""
    for origin in origins:
        for name in turns._share(origin):
            pool._jobs._lately[name] += 1


@pytest.fixture(autouse=True)
def _one_period(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PERIOD_SECONDS", 1e9)


@pytest.mark.parametrize(
    "addresses",
    [
        ["192.0.2.1", "192.0.2.1", "192.0.2.1"],
        ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
        ["192.0.2.1", "::ffff:192.0.2.2", "192.0.2.3"],
        ["2001:db8:1:200::1", "2001:db8:1:201::1", "2001:db8:1:2ff::1"],
    ],
)
def test_two_requests_of_one_network_may_wait(addresses: list[str]) -> None:
    async def test() -> None:
        async with Stage() as stage:
            for number, address in enumerate(addresses):
                await stage.ask(address, str(number))
            assert stage.refused() == {str(MAX_WAITING_PER_SITE)}
            await stage.ask(HONEST)
            assert HONEST not in stage.refused()

    asyncio.run(asyncio.wait_for(test(), 60))


def test_networks_take_turns() -> None:
    async def test() -> Stage:
        async with Stage() as stage:
            for address in ("192.0.2.1", "192.0.2.2", "203.0.113.1", HONEST):
                await stage.ask(address)
        return stage

    stage = asyncio.run(asyncio.wait_for(test(), 60))
    assert stage.ran == ["192.0.2.1", "203.0.113.1", HONEST, "192.0.2.2"]


def test_in_a_full_queue_the_newcomer_with_less_takes_the_place_of_the_one_with_most() -> None:
    async def test() -> Stage:
        async with Stage(capacity=4) as stage:
            pool = stage.pool
            for address in ("192.0.2.1", "203.0.113.1", "203.0.113.2"):
                await stage.ask(address)
            await stage.ask("192.0.2.9")  # has as much as those that wait
            assert stage.refused() == {"192.0.2.9"}
            cost(pool, "203.0.113.9")
            await stage.ask(HONEST)
            assert stage.refused() == {"192.0.2.9", "203.0.113.2"}
        return stage

    stage = asyncio.run(asyncio.wait_for(test(), 60))
    assert stage.ran == ["192.0.2.1", HONEST, "203.0.113.1"]


def test_new_networks_inherit_the_cost_of_their_region() -> None:
    async def test() -> Stage:
        async with Stage(capacity=8) as stage:
            cost(stage.pool, *(f"10.1.{number}.1" for number in range(100, 140)))
            for number in range(7):
                await stage.ask(f"10.1.{number}.1")
            await stage.ask(HONEST)
            assert stage.refused() == {"10.1.6.1"}
        return stage

    stage = asyncio.run(asyncio.wait_for(test(), 60))
    assert stage.ran[0] == HONEST


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "unknown"])
def test_requests_from_loopback_may_wait_without_a_limit(address: str) -> None:
    async def test() -> Stage:
        async with Stage(capacity=20) as stage:
            for number in range(10):
                await stage.ask(address, str(number))
            assert stage.refused() == set()
        return stage

    assert len(asyncio.run(asyncio.wait_for(test(), 60)).ran) == 10


def test_a_call_that_waited_too_long_is_refused_and_others_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.engine.work.threads.QUEUE_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr("service.engine.work.threads.QUEUE_CHECK_SECONDS", 0.01)

    async def test() -> None:
        async with Stage() as stage:
            await stage.ask(HONEST)
            with pytest.raises(Unavailable):
                await asyncio.wait_for(asyncio.shield(stage.calls[HONEST]), 60)

    asyncio.run(asyncio.wait_for(test(), 60))


@pytest.mark.parametrize(("networks", "is_proven"), [(1, False), (40, False), (2000, True)])
def test_a_flood_of_failing_sign_ins_leaves_others_served(networks: int, is_proven: bool) -> None:
    """Hostile clients, each at another address, ask for more than the thread can do; where they
    never come twice, the honest network has signed in before."""

    async def test() -> tuple[int, int]:
        pool, pause = FairPool("flood", 1, 64), threading.Event()

        def work(fails: bool) -> None:
            pause.wait(0.002)
            if fails:
                raise ValueError

        if is_proven:
            await pool.run(work, False, origin="198.51.100.1")
        honest, hostile = [], []
        for number in range(600):
            network = number % networks
            address = f"{10 + network % 100}.{network >> 8}.{network & 255}.{number % 250 + 1}"
            hostile.append(asyncio.ensure_future(pool.run(work, True, origin=address)))
            if number % 30 == 0:
                address = f"198.51.100.{number // 30 + 1}"
                honest.append(asyncio.ensure_future(pool.run(work, False, origin=address)))
            await asyncio.sleep(0.001)
        refused = await asyncio.gather(*hostile, return_exceptions=True)
        served = await asyncio.gather(*honest, return_exceptions=True)
        pool.close()
        return served.count(None), sum(isinstance(error, Unavailable) for error in refused)

    served, refused = asyncio.run(asyncio.wait_for(test(), 60))
    assert served >= 19
    assert refused > 100
