"""Idempotency-Key for creating accounts: what is stored, for whom and for how long (more in
engine/test_idempotency)."""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import sqlalchemy as sa

from service.models import IdempotencyKey
from tests.kit.serving import PASSWORD, Person, Server
from tests.kit.smtp import until

OWN = {"x-request-id", "date", "idempotency-replayed"}


def create(admin: Person, key: str | bytes, email: str, **changes: Any) -> httpx.Response:
    """An account, created under a key."""
    body = {"email": email, "password": PASSWORD} | changes
    return admin.http.post("/api/users", json=body, headers={"Idempotency-Key": key})


def fresh_email() -> str:
    return f"{secrets.token_hex(6)}@example.com"


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


def test_a_kept_answer_does_not_reveal_the_body_without_the_keys(
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


def test_an_account_is_created_once(admin: Person) -> None:
    email = fresh_email()
    first = create(admin, "k", email)
    assert first.status_code == 201
    assert "Idempotency-Replayed" not in first.headers
    assert is_replay(create(admin, "k", email), of=first)
    found = admin.http.get("/api/accounts", params={"email": email}).json()
    assert [account["id"] for account in found] == [first.json()["id"]]


def test_a_key_of_one_account_creates_no_other(admin: Person) -> None:
    assert create(admin, "k", fresh_email()).status_code == 201
    answer = create(admin, "k", fresh_email())
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")


def test_a_key_belongs_to_one_user(server: Server, admin: Person) -> None:
    other = server.make_admin(server.sign_up())
    email = fresh_email()
    hers = create(admin, "k", email)
    assert create(other, "k", fresh_email()).status_code == 201
    assert is_replay(create(admin, "k", email), of=hers)


def test_a_key_lasts_beyond_the_session(server: Server, admin: Person) -> None:
    email = fresh_email()
    first = create(admin, "k", email)
    assert admin.http.post("/auth/logout").status_code == 204
    assert create(admin, "k", email).status_code == 401
    assert is_replay(create(server.sign_in(admin.email), "k", email), of=first)


def test_a_refusal_of_the_work_is_kept(server: Server, admin: Person, ben: Person) -> None:
    refused = create(admin, "k", ben.email)
    assert (refused.status_code, refused.json()["code"]) == (409, "email-taken")
    assert ben.http.delete(f"/api/users/{ben.id}").status_code == 204
    assert is_replay(create(admin, "k", ben.email), of=refused)
    assert create(admin, "other", ben.email).status_code == 201
    assert {(row.key, row.status) for row in kept(server, admin)} == {("k", 409), ("other", 201)}


def test_a_refusal_of_the_input_is_not_kept(server: Server, admin: Person) -> None:
    assert create(admin, "k", "nobody").status_code == 400
    weak = create(admin, "k", fresh_email(), password="password1")
    assert (weak.status_code, weak.json()["code"]) == (400, "weak-password")
    assert kept(server, admin) == []
    assert create(admin, "k", fresh_email()).status_code == 201


def test_a_refusal_of_the_caller_is_not_kept(server: Server, anna: Person) -> None:
    assert create(anna, "k", fresh_email()).status_code == 403
    other = server.sign_in(anna.email)
    assert anna.http.post("/auth/logout").status_code == 204
    assert create(anna, "k", fresh_email()).status_code == 401
    assert kept(server, anna) == []
    server.make_admin(other)
    assert create(other, "k", fresh_email()).status_code == 201


def test_an_answer_is_kept_for_a_day(server: Server, admin: Person) -> None:
    first = create(admin, "k", fresh_email())
    [row] = kept(server, admin)
    left = datetime.fromisoformat(row.expires_at) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=58) < left <= timedelta(hours=24)
    past = (datetime.now(UTC) - timedelta(milliseconds=1)).isoformat(timespec="milliseconds")
    server.execute(
        sa.update(IdempotencyKey)
        .where(IdempotencyKey.user_id == admin.id)
        .values(expires_at=past.replace("+00:00", "Z"))
    )
    email = fresh_email()
    after = create(admin, "k", email)
    assert after.status_code == 201
    assert after.json()["id"] != first.json()["id"]
    assert is_replay(create(admin, "k", email), of=after)


def test_other_operations_ignore_the_key(server: Server, anna: Person) -> None:
    headers = {"Idempotency-Key": "a key with spaces"}
    body = {"email": fresh_email(), "password": PASSWORD}
    first = anna.http.post("/auth/register", json=body, headers=headers)
    again = anna.http.post("/auth/register", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 409)
    assert "Idempotency-Replayed" not in again.headers
    assert kept(server, anna) == []


def test_the_idempotency_keys_of_a_deleted_user_are_removed(server: Server, admin: Person) -> None:
    server.make_admin(server.sign_up())  # the last one could not be deleted
    create(admin, "k", fresh_email())
    assert len(kept(server, admin)) == 1
    assert admin.http.delete(f"/api/users/{admin.id}").status_code == 204
    until(lambda: kept(server, admin) == [])
