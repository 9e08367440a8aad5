"""Idempotency-Key: a request that is sent again is answered again and not done again."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from service.models import IdempotencyKey
from tests.kit.serving import PASSWORD, Person, Server
from tests.kit.smtp import until

POST = {"title": "Once", "content": "and only once."}
OWN = {"x-request-id", "date", "idempotency-replayed"}


def write(person: Person, key: str | bytes, **changes: Any) -> httpx.Response:
    """A post, written under a key."""
    return person.http.post("/api/posts", json=POST | changes, headers={"Idempotency-Key": key})


def create(admin: Person, key: str, email: str, **changes: Any) -> httpx.Response:
    """An account, created under a key."""
    body = {"email": email, "password": PASSWORD} | changes
    return admin.http.post("/api/users", json=body, headers={"Idempotency-Key": key})


def fresh_email() -> str:
    return f"{secrets.token_hex(6)}@example.com"


def count(person: Person) -> int:
    """How many posts there are of somebody."""
    return len(person.http.get("/api/posts", params={"author_id": person.id}).json())


def kept(server: Server, person: Person) -> list[Any]:
    """What is kept of somebody's requests."""
    table = IdempotencyKey
    return server.execute(
        sa.select(table.operation, table.key, table.status, table.expires_at).where(
            table.user_id == person.id
        )
    )


def is_replay(answer: httpx.Response, of: httpx.Response) -> bool:
    """Whether an answer is an earlier one given again, but for what belongs to the request."""
    again, first = (
        (given.status_code, given.content, {k: v for k, v in given.headers.items() if k not in OWN})
        for given in (answer, of)
    )
    return again == first and answer.headers["Idempotency-Replayed"] == "true"


def test_what_is_kept_tells_nothing_of_the_body_without_the_keys(
    server: Server, admin: Person
) -> None:
    body = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD}
    created = admin.http.post("/api/users", json=body, headers={"Idempotency-Key": "k"})
    assert created.status_code == 201
    kept = server.execute(
        sa.select(IdempotencyKey.fingerprint).where(IdempotencyKey.user_id == admin.id)
    )
    plain = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    assert kept
    assert kept != [(hashlib.sha256(plain).hexdigest(),)]


def test_a_request_sent_again_is_answered_again_and_not_done_again(anna: Person) -> None:
    first = write(anna, "k")
    assert first.status_code == 201
    assert "Idempotency-Replayed" not in first.headers
    for _ in range(2):
        again = write(anna, "k")
        assert is_replay(again, of=first)
        assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert count(anna) == 1


def test_an_account_is_created_once(admin: Person) -> None:
    email = fresh_email()
    first = create(admin, "k", email)
    assert first.status_code == 201
    assert is_replay(create(admin, "k", email), of=first)
    found = admin.http.get("/api/accounts", params={"email": email}).json()
    assert [account["id"] for account in found] == [first.json()["id"]]


def test_without_a_key_each_request_counts(anna: Person) -> None:
    assert anna.post()["id"] != anna.post()["id"]
    assert count(anna) == 2


def test_another_key_is_another_request(anna: Person) -> None:
    assert write(anna, "k").json()["id"] != write(anna, "K").json()["id"]


def test_a_key_used_with_another_body_is_refused(anna: Person) -> None:
    first = write(anna, "k")
    answer = write(anna, "k", title="Twice")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")
    assert "Idempotency-Replayed" not in answer.headers
    assert is_replay(write(anna, "k"), of=first)
    assert count(anna) == 1


def test_a_key_of_one_account_creates_no_other(admin: Person) -> None:
    assert create(admin, "k", fresh_email()).status_code == 201
    answer = create(admin, "k", fresh_email())
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")


@pytest.mark.parametrize(
    "body",
    [
        '{"title": "Once", "content": "and only once."}',
        '{"content":"and only once.","title":"Once"}',
        '\n{\t"title" : "Once" ,\r\n "content" : "and only once." }\n',
        r'{"\u0074itle": "\u004fnce", "content": "and \u006fnly once\u002E"}',
    ],
)
def test_bodies_are_compared_as_values_and_not_as_bytes(anna: Person, body: str) -> None:
    first = write(anna, "k")
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json; charset=utf-8"}
    assert is_replay(anna.http.post("/api/posts", content=body, headers=headers), of=first)


def test_a_key_belongs_to_one_user(anna: Person, ben: Person) -> None:
    hers, his = write(anna, "k"), write(ben, "k")
    assert (hers.status_code, his.status_code) == (201, 201)
    assert his.json()["author"]["id"] == ben.id
    assert is_replay(write(anna, "k"), of=hers)


def test_a_key_belongs_to_one_operation(admin: Person) -> None:
    email = fresh_email()
    post, user = write(admin, "k"), create(admin, "k", email)
    assert (post.status_code, user.status_code) == (201, 201)
    assert is_replay(write(admin, "k"), of=post)
    assert is_replay(create(admin, "k", email), of=user)


def test_a_key_lasts_beyond_the_session(server: Server, anna: Person) -> None:
    first = write(anna, "k")
    assert anna.http.post("/auth/logout").status_code == 204
    assert write(anna, "k").status_code == 401
    assert is_replay(write(server.sign_in(anna.email), "k"), of=first)


def test_the_answer_stays_as_it_was_given(anna: Person) -> None:
    first = write(anna, "k")
    path = first.headers["Location"]
    assert anna.http.patch(path, json={"title": "New"}, headers={"If-Match": "*"}).is_success
    assert is_replay(write(anna, "k"), of=first)
    assert anna.http.delete(path).status_code == 204
    assert is_replay(write(anna, "k"), of=first)
    assert count(anna) == 0


def test_a_refusal_of_the_work_is_kept(server: Server, admin: Person, ben: Person) -> None:
    refused = create(admin, "k", ben.email)
    assert (refused.status_code, refused.json()["code"]) == (409, "email-taken")
    assert ben.http.delete(f"/api/users/{ben.id}").status_code == 204
    assert is_replay(create(admin, "k", ben.email), of=refused)
    assert create(admin, "other", ben.email).status_code == 201
    assert {(row.key, row.status) for row in kept(server, admin)} == {("k", 409), ("other", 201)}


def test_a_refusal_of_the_input_is_not_kept(server: Server, admin: Person) -> None:
    assert write(admin, "k", title="").status_code == 400
    weak = create(admin, "k", fresh_email(), password="password1")
    assert (weak.status_code, weak.json()["code"]) == (400, "weak-password")
    assert kept(server, admin) == []
    assert write(admin, "k").status_code == 201
    assert create(admin, "k", fresh_email()).status_code == 201


def test_a_refusal_of_the_caller_is_not_kept(server: Server, anna: Person) -> None:
    assert create(anna, "k", fresh_email()).status_code == 403
    other = server.sign_in(anna.email)
    assert anna.http.post("/auth/logout").status_code == 204
    assert write(anna, "k").status_code == 401
    assert kept(server, anna) == []
    assert write(other, "k").status_code == 201


def test_a_refusal_for_too_many_requests_is_not_kept(serve: Callable[..., Server]) -> None:
    server = serve(rate_limit_enabled=True, rate_limits="write=1 per hour")
    anna = server.sign_up()
    anna.post()
    assert write(anna, "k").status_code == 429
    assert kept(server, anna) == []


def test_an_answer_is_kept_for_a_day(server: Server, anna: Person) -> None:
    first = write(anna, "k")
    [row] = kept(server, anna)
    left = datetime.fromisoformat(row.expires_at) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=58) < left <= timedelta(hours=24)
    past = (datetime.now(UTC) - timedelta(milliseconds=1)).isoformat(timespec="milliseconds")
    server.execute(
        sa.update(IdempotencyKey)
        .where(IdempotencyKey.user_id == anna.id)
        .values(expires_at=past.replace("+00:00", "Z"))
    )
    after = write(anna, "k", title="Another day")
    assert after.status_code == 201
    assert after.json()["id"] != first.json()["id"]
    assert is_replay(write(anna, "k", title="Another day"), of=after)


@pytest.mark.parametrize("key", ["!", "~" * 255, '"a,b;c=d"', "{{7*7}}%s:id", "%F0%9F", "null"])
def test_any_visible_ascii_makes_a_key(anna: Person, key: str) -> None:
    first = write(anna, key)
    assert is_replay(write(anna, key), of=first)


@pytest.mark.parametrize("key", ["", "a b", "a\tb", "x" * 256, "caf\u00e9"])
def test_anything_else_does_not_make_a_key(anna: Person, key: str) -> None:
    answer = write(anna, key.encode("latin-1"))
    assert answer.status_code == 400
    assert {error["pointer"] for error in answer.json()["errors"]} == {"Idempotency-Key"}
    assert count(anna) == 0


def test_two_keys_are_refused(anna: Person) -> None:
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert anna.http.post("/api/posts", json=POST, headers=twice).status_code == 400
    assert count(anna) == 0


def test_other_operations_do_not_look_at_the_key(server: Server, anna: Person) -> None:
    headers = {"Idempotency-Key": "a key with spaces"}
    body = {"email": fresh_email(), "password": PASSWORD}
    first = anna.http.post("/auth/register", json=body, headers=headers)
    again = anna.http.post("/auth/register", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 409)
    assert "Idempotency-Replayed" not in again.headers
    assert kept(server, anna) == []


def test_the_keys_of_a_deleted_user_go_too(server: Server, anna: Person) -> None:
    write(anna, "k")
    assert len(kept(server, anna)) == 1
    assert anna.http.delete(f"/api/users/{anna.id}").status_code == 204
    until(lambda: kept(server, anna) == [])
