"""The servers of a cluster, each of which has some of the 16384 slots for keys."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from service.engine.limits.connection import PATIENCE_SECONDS
from service.engine.limits.hits import Count, Hit, NotAsked, command, counted_key
from service.engine.limits.redis_parts import (
    AskError,
    ClusterDownError,
    MovedError,
    TryAgainError,
    key_slot,
)
from service.engine.limits.server import TRIAL, Access, Failed, Server, Task, value

MAX_REDIRECTIONS = 3  # of one question

_ASKING = command("ASKING")
_SLOTS = command("CLUSTER", "SLOTS")
_INFO = command("CLUSTER", "INFO")

_Place = tuple[str, int]


class Cluster:
    """As a `Server`, but each hit is a question of its own, to the server that has its slot.

    Which one that is, the cluster says at the start and at each check, and in between the server
    that a slot has left.
    """

    def __init__(self, seeds: list[_Place], access: Access, failed: Failed) -> None:
        self._seeds = seeds
        self._access = access
        self._failed = failed
        self._servers: dict[_Place, Server] = {}
        self._owners: list[tuple[int, int, _Place]] = []  # first and last slot, in order
        self._moved: dict[int, _Place] = {}  # slots that have left their owners since
        self._looking = Task(self._look, failed)

    @property
    def is_slow(self) -> bool:
        return any(server.is_slow for server in self._servers.values())

    async def hit(self, hits: list[Hit], *, is_patient: bool = False) -> list[Count]:
        """The counts of hits, up to the first without room.

        Raises `Late`, unless the asker is patient; for a failure, what it was.
        """
        if not self._owners:
            await self._looking.done(None if is_patient else PATIENCE_SECONDS)
        found: list[Count] = []
        for one in hits:
            found += await self._hit(one, is_patient)
            if not found[-1].has_room:
                break
        return found

    async def check(self) -> None:
        """Count something, in a cluster that is whole; raises what keeps it from that."""
        await self._looking.done(None)
        for place in {place for _, _, place in self._owners}:
            said = await self._server(place).ask(_INFO, is_patient=True)
            if b"cluster_state:ok" not in said:
                raise ClusterDownError("A server does not see all others.")
        await self.hit([TRIAL], is_patient=True)

    def close(self) -> None:
        self._looking.cancel()
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        self._owners = []

    async def _hit(self, hit: Hit, is_patient: bool) -> list[Count]:
        slot = key_slot(counted_key(hit.name))
        place, first = self._owner(slot), tuple[bytes, ...]()
        for _ in range(MAX_REDIRECTIONS):
            try:
                return await self._server(place).hit([hit], *first, is_patient=is_patient)
            except TryAgainError:  # one key has moved and the other has not: soon both have
                raise NotAsked from None
            except AskError as there:
                place = (there.host or place[0], there.port)
                first = (_ASKING,)
                if isinstance(there, MovedError):
                    self._moved[slot] = place
                    first = ()
        raise ClusterDownError("The servers do not agree on where a slot is.")

    def _owner(self, slot: int) -> _Place:
        if slot in self._moved:
            return self._moved[slot]
        at = bisect_right(self._owners, slot, key=lambda owner: owner[0]) - 1
        if at < 0 or slot > self._owners[at][1]:
            raise ClusterDownError("Nobody has a slot.")
        return self._owners[at][2]

    def _server(self, place: _Place) -> Server:
        if place not in self._servers:

            async def address() -> _Place:
                return place

            self._servers[place] = Server(address, self._access, self._failed)
        return self._servers[place]

    async def _look(self) -> None:
        """Ask a server that is known, or of those at the start the first that answers."""
        for place, server in self._servers.items():
            if server.is_connected and not server.is_slow:
                self._note(await server.ask(_SLOTS, is_patient=True), place[0])
                return
        errors: list[Exception] = []
        for seed in self._seeds:
            try:
                connection = await self._access.connect(seed)
            except Exception as error:
                errors.append(error)
                continue
            try:
                self._note(value(await connection.ask(_SLOTS, is_patient=True)), seed[0])
                return
            except Exception as error:
                errors.append(error)
            finally:
                connection.close()
        raise errors[-1]

    def _note(self, slots: list[Any], asked: str) -> None:
        """Note the answer of a server, which may leave its own host out."""
        self._owners = sorted(
            (int(first), int(last), ((primary[0] or b"").decode() or asked, int(primary[1])))
            for first, last, primary, *_ in slots
        )
        self._moved.clear()
        current = {place for _, _, place in self._owners}
        for place in self._servers.keys() - current:
            self._servers.pop(place).close()
