"""Challenges are good once, for one purpose and for a while, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from service.engine.database.transaction import db
from service.engine.ids import now
from service.models import Challenge
from service.models.challenges import MAX_TRIES, NEW_PASSKEY, SECOND_FACTOR
from service.models.mails import hashed
from tests.kit.serving import Person, Server

Act = Callable[..., Any]


@pytest.fixture
def act(server: Server) -> Act:
    """Calls a function in a transaction of the server's own, and commits it."""

    def _act(function: Callable[..., Any], *arguments: Any) -> Any:
        with server.flask.app_context(), db.transaction() as transaction:
            result = function(*arguments)
            transaction.commit()
        return result

    return _act


@pytest.fixture
def value(act: Act, anna: Person) -> str:
    made: str = act(Challenge.create, SECOND_FACTOR, anna.id, "data")
    return made


def of(value: str) -> sa.ColumnElement[bool]:
    return Challenge.value_hash == hashed(value)


def test_a_challenge_is_used_once_and_says_whose_it_is(act, anna, value):
    assert act(Challenge.use, value, SECOND_FACTOR) == (anna.id, "data")
    assert act(Challenge.use, value, SECOND_FACTOR) is None


def test_a_challenge_may_be_nobodys(act):
    value = act(Challenge.create, SECOND_FACTOR, None)
    assert act(Challenge.use, value, SECOND_FACTOR) == (None, "")


def test_a_challenge_is_not_stored_in_the_clear(server, value):
    [row] = server.execute(sa.select(Challenge.__table__).where(of(value)))
    assert value not in str(row)


def test_a_challenge_is_good_for_its_own_purpose_only(act, value):
    assert act(Challenge.use, value, NEW_PASSKEY) is None
    assert act(Challenge.attempt, value, NEW_PASSKEY) is None
    assert act(Challenge.use, value, SECOND_FACTOR)


def test_a_challenge_ends(server, act, value):
    server.execute(sa.update(Challenge).where(of(value)).values(expires_at=now()))
    assert act(Challenge.attempt, value, SECOND_FACTOR) is None
    assert act(Challenge.use, value, SECOND_FACTOR) is None


def test_a_challenge_has_five_tries(act, anna, value):
    tries = [act(Challenge.attempt, value, SECOND_FACTOR) for _ in range(MAX_TRIES + 1)]
    assert tries == [*((anna.id, "data", number) for number in range(1, 6)), None]


def test_the_challenges_of_a_user_are_revoked_together(act, anna, ben, value):
    bens = act(Challenge.create, SECOND_FACTOR, ben.id)
    act(Challenge.revoke_all, anna.id)
    assert act(Challenge.use, value, SECOND_FACTOR) is None
    assert act(Challenge.use, bens, SECOND_FACTOR)


def test_a_new_challenge_removes_expired_ones(server, act, anna, value):
    server.execute(
        sa.update(Challenge).where(of(value)).values(expires_at="2020-01-01T00:00:00.000Z")
    )
    for _ in range(60):  # each removes ten, and other tests may have left some
        act(Challenge.create, SECOND_FACTOR, anna.id)
        if not server.execute(sa.select(Challenge.value_hash).where(of(value))):
            return
    raise AssertionError("the expired challenge is still there")


@pytest.mark.parametrize(("name", "most"), [("use", 1), ("attempt", MAX_TRIES)])
def test_of_many_requests_at_once_only_as_many_as_may_get_a_challenge(act, value, name, most):
    barrier = Barrier(8)

    def _one(_: int) -> Any:
        barrier.wait()
        return act(getattr(Challenge, name), value, SECOND_FACTOR)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(_one, range(8)))
    assert len([row for row in found if row]) == most
