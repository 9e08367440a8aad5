"""One attacker for each test, and a look at the server afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.oracle import Attack
from tests.conftest import Server


@pytest.fixture
def attack(server: Server) -> Iterator[Attack]:
    attack = Attack(server)
    yield attack
    assert attack.is_well()
