"""Idempotency-Key in other hands and at other times (more in engine/test_retries)."""

from __future__ import annotations

import secrets

from sqlalchemy import delete, func, select, update

from service.models import IdempotencyKey, RestingUsername, User
from tests.kit.attack import Attack, Expected, on
from tests.kit.raw import Answer
from tests.kit.serving import PASSWORD, Person, Server

ENDED = (401, "session-revoked")

pytestmark = on("sqlite", "postgresql")


def create(
    attack: Attack, who: Person, key: str, email: str, expected: Expected | None = None
) -> Answer:
    body, headers = {"email": email, "password": PASSWORD}, {"Idempotency-Key": key}
    return attack("POST", "/api/users", expected, token=who, json=body, headers=headers)


def kept(server: Server, person: Person) -> int:
    count = select(func.count()).where(IdempotencyKey.user_id == person.id)
    [[number]] = server.execute(count)
    return int(number)


def test_a_kept_answer_for_admins_is_not_replayed_to_a_demoted_one(
    attack: Attack, server: Server, admin: Person
) -> None:
    email = f"{secrets.token_hex(6)}@example.com"
    create(attack, admin, "k", email, 201)
    server.execute(update(User).where(User.id == admin.id).values(role="user"))
    refused = create(attack, admin, "k", email, (403, "admin-required"))
    assert email not in refused.body.decode()
    server.make_admin(admin)
    assert "idempotency-replayed" in create(attack, admin, "k", email, 201).headers


def test_a_kept_answer_is_not_replayed_to_a_disabled_user(
    attack: Attack, server: Server, admin: Person
) -> None:
    email = f"{secrets.token_hex(6)}@example.com"
    create(attack, admin, "k", email, 201)
    server.execute(update(User).where(User.id == admin.id).values(disabled=True))
    create(attack, admin, "k", email, ENDED)


def test_a_new_user_with_the_same_name_gets_no_kept_answer(
    attack: Attack, server: Server, admin: Person
) -> None:
    email = f"{secrets.token_hex(6)}@example.com"
    create(attack, admin, "k", email, 201)
    attack("DELETE", f"/api/users/{admin.id}", 204, token=admin)
    name_rests = RestingUsername.username == admin.username
    server.execute(delete(RestingUsername).where(name_rests))  # as after 90 days
    namesake = server.make_admin(server.sign_up(email=admin.email, username=admin.username))
    create(attack, namesake, "k", email, (409, "email-taken"))
    again = create(attack, namesake, "k2", f"other-{email}", 201)
    assert "idempotency-replayed" not in again.headers


def test_a_refused_request_uses_no_key_up(attack: Attack, server: Server, anna: Person) -> None:
    create(attack, anna, "k", f"{secrets.token_hex(6)}@example.com", (403, "admin-required"))
    user = {"email": "a@example.com", "password": PASSWORD}
    headers = {"Idempotency-Key": "k"}
    token = anna.tokens["refresh_token"]
    attack("POST", "/api/users", 401, token=token, json=user, headers=headers)
    assert kept(server, anna) == 0
