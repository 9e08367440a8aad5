"""The export and the audit events contain all data of the caller and nothing else."""

from __future__ import annotations

import json
import secrets
from typing import Any

from sqlalchemy import update

from service.models import User
from tests.kit.attack import Attack, on
from tests.kit.serving import PASSWORD, Person, Server

EVENTS, EXPORT = "/api/audit-events", "/auth/export"
INVALID = (400, "invalid-request")
FORGED = {
    "X-Forwarded-For": "203.0.113.66",
    "X-Real-IP": "203.0.113.66",
    "Forwarded": "for=203.0.113.66",
}

pytestmark = on("sqlite", "postgresql")


def lines(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.decode().splitlines()]


def test_an_export_contains_the_callers_data_only(
    attack: Attack, server: Server, anna: Person, ben: Person, admin: Person
) -> None:
    attack(
        "PATCH",
        f"/api/users/{anna.id}",
        200,
        token=admin,
        json={"bio": "x"},
        headers={"If-Match": "*"},
    )
    for person in (anna, ben, admin):
        exported = lines(attack("GET", EXPORT, 200, token=person).body)
        [account] = [line for line in exported if line["type"] == "account"]
        assert account["id"] == person.id
        assert {line["user_id"] for line in exported if line["type"] == "audit_event"} == {
            person.id
        }
        others = [other for other in (anna, ben, admin) if other is not person]
        text = json.dumps(exported)
        assert not [other.email for other in others if other.email in text]
        assert "password" not in {name for line in exported for name in line}


def test_an_export_of_another_user_cannot_be_requested(
    attack: Attack, anna: Person, ben: Person
) -> None:
    for query in ("user_id={}", "id={}", "email={}", "all=true", "type=account", "format=csv"):
        attack("GET", f"{EXPORT}?{query.format(ben.id)}", INVALID, token=anna)
    for path in (f"{EXPORT}/{ben.id}", f"{EXPORT}.json", f"{EXPORT}/"):
        attack("GET", path, 404, token=anna)
    attack("GET", EXPORT, 401, token=anna.tokens["refresh_token"])
    attack("HEAD", EXPORT, 401)
    head = attack("HEAD", EXPORT, 200, token=anna)
    assert head.headers["content-disposition"].startswith("attachment")
    assert head.headers["cache-control"] == "no-store"


def test_a_user_gets_only_their_own_events_whatever_the_filter(
    attack: Attack, anna: Person, ben: Person, admin: Person
) -> None:
    verified = update(User).where(User.id == anna.id).values(email_verified=True)
    anna.server.execute(verified)  # or she could not become an admin
    attack(
        "PATCH",
        f"/api/users/{anna.id}",
        200,
        token=admin,
        json={"role": "admin"},
        headers={"If-Match": "*"},
    )
    attack(
        "PATCH",
        f"/api/users/{anna.id}",
        200,
        token=admin,
        json={"role": "user"},
        headers={"If-Match": "*"},
    )
    for query in (f"actor_id={anna.id}", f"actor_id={admin.id}", "limit=100", "action=login"):
        found = attack("GET", f"{EVENTS}?{query}", 200, token=ben).json()
        assert {event["user_id"] for event in found} <= {ben.id}
    mine = attack("GET", f"{EVENTS}?actor_id={admin.id}", 200, token=anna).json()
    assert [event["action"] for event in mine] == ["role-changed", "role-changed"]
    assert {event["ip"] for event in mine} == {""}  # where the admin was
    for query in (f"user_id={anna.id}", "all=true", f"actor_id={anna.id}&actor_id={ben.id}"):
        attack("GET", f"{EVENTS}?{query}", INVALID, token=ben)


def test_events_cannot_be_changed_by_anybody(attack: Attack, admin: Person) -> None:
    [newest, *_] = attack("GET", EVENTS, 200, token=admin).json()
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        attack(method, EVENTS, 405, token=admin, json={"action": "login"})
        attack(method, f"{EVENTS}/{newest['id']}", 404, token=admin, json={"action": "login"})


def test_an_event_shows_the_peer_address_and_not_a_claimed_one(
    attack: Attack, admin: Person
) -> None:
    email = f"{secrets.token_hex(6)}@example.com"
    new = {"email": email, "password": PASSWORD}
    made = attack("POST", "/auth/register", 201, json=new, headers=FORGED).json()
    attack("POST", "/auth/login", 401, json={**new, "password": "wrong"}, headers=FORGED)
    attack("POST", "/auth/login", 200, json=new, headers=FORGED)
    found = attack("GET", EVENTS, 200, token=admin, params={"limit": 100}).json()
    events = [event for event in found if event["user_id"] == made["id"]]
    assert [event["action"] for event in events] == ["login", "login-failed", "register"]
    assert {event["ip"] for event in events} == {"127.0.0.1"}
    assert "@" not in json.dumps(found)


def test_events_of_unknown_addresses_name_no_user(attack: Attack, admin: Person) -> None:
    secret = f"hush-{secrets.token_hex(6)}"
    for email in (f"{secret}@example.com", f"{secret}+<script>@example.com"[:60]):
        attack("POST", "/auth/login", json={"email": email, "password": secret})
    found = attack("GET", f"{EVENTS}?action=login-failed&limit=100", 200, token=admin).json()
    assert [event for event in found if event["user_id"] is None]
    assert secret not in json.dumps(found)
