"""USER_QUOTA: what a user stores is counted exactly, whatever changes it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from service import demo, demo_posts, maintenance
from service.engine.database.transaction import db
from service.models import IdempotencyKey, Post, User
from tests.kit import databases
from tests.kit.accounts import ANY, told
from tests.kit.serving import Person, Server, serving

QUOTA = 10_000
FULL = (409, "quota-exceeded")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def small(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Server]:
    """A server whose users have little room."""
    own = {} if request.param == "sqlite" else {"database_url": databases.postgresql()}
    with serving(tmp_path_factory.mktemp("small"), user_quota=QUOTA, **own) as running:
        yield running


@pytest.fixture
def eva(small: Server) -> Person:
    return small.sign_up()


def write(person: Person, size: int, **headers: str) -> httpx.Response:
    """Write a post of so many bytes."""
    body = {"title": "t", "content": "x" * (size - 1)}
    return person.http.post("/api/posts", json=body, headers=headers)


def counted(server: Server, person: Person) -> int:
    [[number]] = server.execute(select(User.stored_bytes).where(User.id == person.id))
    return number


def stored(server: Server, person: Person) -> int:
    """What the rows of a user hold."""
    total = 0
    for title, content in server.execute(
        select(Post.title, Post.content).where(Post.author_id == person.id)
    ):
        total += len(title.encode()) + len(content.encode())
    for (body,) in server.execute(
        select(IdempotencyKey.body).where(IdempotencyKey.user_id == person.id)
    ):
        total += len(body)
    return total


def test_a_post_over_the_quota_is_a_409_and_leaves_no_trace(small: Server, eva: Person) -> None:
    first = write(eva, 6000)
    assert first.status_code == 201
    assert told(write(eva, 4001)) == FULL
    assert write(eva, 4000).status_code == 201
    assert told(write(eva, 2)) == FULL
    assert counted(small, eva) == stored(small, eva) == QUOTA
    assert len(eva.http.get("/api/posts", params={"author_id": eva.id}).json()) == 2
    assert small.sign_up().post()


def test_a_change_counts_by_what_it_adds(small: Server, eva: Person) -> None:
    path = f"/api/posts/{write(eva, 6000).json()['id']}"
    other = write(eva, 3000).json()["id"]
    tag = eva.http.get(path).headers["etag"]
    too_large = eva.http.patch(path, json={"content": "x" * 7000}, headers=ANY)
    assert told(too_large) == FULL
    assert eva.http.get(path).headers["etag"] == tag
    assert eva.http.patch(path, json={"content": "\u0416" * 3500}, headers=ANY).status_code == 409
    assert eva.http.patch(path, json={"content": "\u0416" * 3400}, headers=ANY).status_code == 200
    assert counted(small, eva) == stored(small, eva) == 3000 + 1 + 6800
    assert eva.http.patch(path, json={"content": "x"}, headers=ANY).status_code == 200
    assert eva.http.delete(f"/api/posts/{other}").status_code == 204
    assert counted(small, eva) == stored(small, eva) == 2


def test_an_administrator_changes_and_deletes_on_the_authors_account(
    small: Server, eva: Person
) -> None:
    admin = small.make_admin(small.sign_up())
    path = f"/api/posts/{write(eva, 6000).json()['id']}"
    assert admin.http.patch(path, json={"content": "x" * 10}, headers=ANY).status_code == 200
    assert (counted(small, eva), counted(small, admin)) == (11, 0)
    assert admin.http.delete(path).status_code == 204
    assert (counted(small, eva), counted(small, admin)) == (0, 0)


def test_users_over_their_quota_may_still_shorten_and_delete_posts(
    small: Server, eva: Person
) -> None:
    path = f"/api/posts/{write(eva, 6000).json()['id']}"
    small.execute(update(User).where(User.id == eva.id).values(stored_bytes=2 * QUOTA))
    assert eva.http.patch(path, json={"content": "x" * 5000}, headers=ANY).status_code == 200
    assert eva.http.patch(path, json={"title": "u"}, headers=ANY).status_code == 200
    assert told(eva.http.patch(path, json={"title": "uu"}, headers=ANY)) == FULL
    assert eva.http.delete(path).status_code == 204


def test_answers_that_are_kept_for_a_key_count_until_they_are_purged(
    small: Server, eva: Person
) -> None:
    answer = write(eva, 3000, **{"Idempotency-Key": "one"})
    assert write(eva, 3000, **{"Idempotency-Key": "one"}).json() == answer.json()
    assert eva.http.delete(f"/api/posts/{answer.json()['id']}").status_code == 204
    assert counted(small, eva) == stored(small, eva) > 3000
    assert write(eva, 3000, **{"Idempotency-Key": "two"}).status_code == 201
    assert told(write(eva, 3000, **{"Idempotency-Key": "three"})) == FULL
    past = "2000-01-01T00:00:00.000Z"
    mine = IdempotencyKey.user_id == eva.id
    small.execute(update(IdempotencyKey).where(mine).values(expires_at=past))
    with small.flask.app_context():
        maintenance.purge()
    assert counted(small, eva) == stored(small, eva) == 3000
    assert write(eva, 3000).status_code == 201


def test_concurrent_requests_never_exceed_the_quota(small: Server, eva: Person) -> None:
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: write(eva, 1500), range(12)))
    made = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    assert len(made) == QUOTA // 1500
    assert {told(answer) for answer in answers if answer.status_code != 201} == {FULL}

    def change(number: int) -> int:
        path = f"/api/posts/{made[number % len(made)]}"
        if number % 5 == 4:
            return eva.http.delete(path).status_code
        body = {"content": "y" * secrets.choice([10, 700, 1400, 2000])}
        return eva.http.patch(path, json=body, headers=ANY).status_code

    with ThreadPoolExecutor(12) as threads:
        assert set(threads.map(change, range(40))) <= {200, 204, 404, 409}
    assert counted(small, eva) == stored(small, eva)


def test_the_text_stored_by_the_previous_release_is_counted_in_batches(
    small: Server, eva: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.stored_bytes.USERS_PER_TRANSACTION", 1)
    others = [small.sign_up() for _ in range(3)]
    for person in [eva, *others]:
        write(person, 3000, **{"Idempotency-Key": "k"})
    small.execute(update(User).values(stored_bytes=None))
    assert write(eva, 9000).status_code == 201  # not counted yet
    with small.flask.app_context():
        maintenance.purge()
    for person in [eva, *others]:
        assert counted(small, person) == stored(small, person)
    assert told(write(eva, 10)) == FULL


def test_demo_data_is_counted(small: Server) -> None:
    with small.flask.app_context():
        list(demo.fill(3))
        list(demo_posts.fill(30))
    with small.flask.app_context(), db.transaction(writes=False) as transaction:
        run: Callable[..., Any] = transaction.connection().execute
        rows = run(select(User.id, User.stored_bytes).where(User.email.like("user%"))).all()
        for user_id, number in rows:
            texts = select(
                func.sum(func.octet_length(Post.title) + func.octet_length(Post.content))
            ).where(Post.author_id == user_id)
            assert number == (run(texts).scalar() or 0)
