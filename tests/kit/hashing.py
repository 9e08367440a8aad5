"""Argon2id at less than its cost in service, and in full for races, whose windows it opens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher

from service.domain import passwords

HASHER, DUMMY = passwords._hasher, passwords._DUMMY
LIGHT = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
LIGHT_DUMMY = DUMMY.replace("m=19456,t=2", "m=64,t=1")
# For `commands.COMMAND`: a process that hashes as lightly as the servers in this one do.
LIGHT_COMMAND = """
from service.cli import main
from service.domain import passwords
from tests.kit.hashing import LIGHT, LIGHT_DUMMY
passwords._hasher, passwords._DUMMY = LIGHT, LIGHT_DUMMY
main(prog_name="byline")
"""


class Prepared:
    """Hashes in full, but knows the hash of one password: what prepares a race signs users up and
    in with it."""

    def __init__(self, password: str) -> None:
        self._known = (HASHER.hash(password), password)

    def hash(self, password: str) -> str:
        known, its = self._known
        return known if password == its else HASHER.hash(password)

    def verify(self, stored: str, password: str) -> bool:
        return (stored, password) == self._known or HASHER.verify(stored, password)

    def check_needs_rehash(self, stored: str) -> bool:
        return HASHER.check_needs_rehash(stored)


@contextmanager
def racing() -> Iterator[None]:
    """Meanwhile no hash is known: each is computed, in full where `Prepared` is in use."""
    usual: PasswordHasher | Prepared = passwords._hasher
    if isinstance(usual, Prepared):
        passwords._hasher = HASHER
    try:
        yield
    finally:
        passwords._hasher = usual
