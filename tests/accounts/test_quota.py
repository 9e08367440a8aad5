"""USER_QUOTA: the answers that are kept for a user's retries are counted exactly."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, update

from service import maintenance
from service.engine.database.transaction import db
from service.models import IdempotencyKey, User
from service.models.storage import Storage
from service.problems import QuotaExceeded
from tests.kit import databases
from tests.kit.serving import Person, Server, serving

QUOTA = 10_000


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def small(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Server]:
    """A server whose users have little room."""
    own = {} if request.param == "sqlite" else {"database_url": databases.postgresql()}
    with serving(tmp_path_factory.mktemp("small"), user_quota=QUOTA, **own) as running:
        yield running


@pytest.fixture
def ada(small: Server) -> Person:
    """An administrator: who creates a user with a key has an answer that is kept."""
    return small.make_admin(small.sign_up())


def create(admin: Person, key: str = "") -> dict[str, Any]:
    """A new user of this administrator's."""
    body = {"email": f"{secrets.token_hex(6)}@example.com"}
    headers = {"Idempotency-Key": key or secrets.token_hex(6)}
    answer = admin.http.post("/api/users", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


def counted(server: Server, person: Person) -> int:
    [[number]] = server.execute(select(User.stored_bytes).where(User.id == person.id))
    return number


def stored(server: Server, person: Person) -> int:
    """What the rows of a user hold."""
    kept = select(IdempotencyKey.body).where(IdempotencyKey.user_id == person.id)
    return sum(len(body) for (body,) in server.execute(kept))


def test_answers_that_are_kept_for_a_key_count_until_they_are_purged(
    small: Server, ada: Person
) -> None:
    for _ in range(3):
        create(ada)
    assert counted(small, ada) == stored(small, ada) > 3 * 200
    mine = IdempotencyKey.user_id == ada.id
    past = "2000-01-01T00:00:00.000Z"
    small.execute(update(IdempotencyKey).where(mine).values(expires_at=past))
    with small.flask.app_context():
        maintenance.purge()
    assert counted(small, ada) == stored(small, ada) == 0


def test_an_answer_that_is_forgotten_with_an_account_counts_no_more(
    small: Server, ada: Person
) -> None:
    create(ada)
    before, user = counted(small, ada), create(ada)
    assert counted(small, ada) > before
    assert ada.http.delete(f"/api/users/{user['id']}").status_code == 204
    assert counted(small, ada) == stored(small, ada) == before


def test_a_key_that_is_used_again_after_its_end_counts_once(small: Server, ada: Person) -> None:
    create(ada, "again")
    mine = IdempotencyKey.user_id == ada.id
    past = "2000-01-01T00:00:00.000Z"
    small.execute(update(IdempotencyKey).where(mine).values(expires_at=past))
    create(ada, "again")
    assert counted(small, ada) == stored(small, ada) > 0


def test_the_answers_kept_by_the_previous_release_are_counted_in_batches(
    small: Server, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.stored_bytes.USERS_PER_TRANSACTION", 1)
    admins = [ada, *(small.make_admin(small.sign_up()) for _ in range(3))]
    for admin in admins:
        create(admin)
    small.execute(update(User).values(stored_bytes=None))
    with small.flask.app_context():
        maintenance.purge()
    for admin in admins:
        assert counted(small, admin) == stored(small, admin) > 0


def test_what_is_stored_at_once_never_exceeds_the_quota(small: Server, ada: Person) -> None:
    def take(_: int) -> bool:
        with small.flask.app_context(), db.transaction() as transaction:
            try:
                Storage(ada.id, 1500).take(QUOTA)
            except QuotaExceeded:
                return False
            transaction.commit()
            return True

    with ThreadPoolExecutor(12) as threads:
        taken = list(threads.map(take, range(12)))
    assert taken.count(True) == QUOTA // 1500
    assert counted(small, ada) == 1500 * (QUOTA // 1500)
