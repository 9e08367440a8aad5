"""One attacker for each test, and a look at the server afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.attack import Attack
from tests.kit.serving import Person, Server


@pytest.fixture
def attack(server: Server) -> Iterator[Attack]:
    attack = Attack(server)
    yield attack
    assert attack.is_well()


@pytest.fixture(scope="module")
def owner(server: Server) -> Person:
    return server.sign_up()


@pytest.fixture(scope="module")
def mallory(server: Server) -> Person:
    return server.sign_up()
