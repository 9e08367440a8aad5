"""What registering and public lists reveal to an attacker."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from sqlalchemy import func, select

from service.models import User
from tests.kit.attack import Attack, on, table
from tests.kit.serving import PASSWORD, Person, Server

WRONG, INVALID = (401, "invalid-credentials"), (400, "invalid-request")
LOGIN, REGISTER = "/auth/login", "/auth/register"

pytestmark = on("sqlite")


@pytest.fixture(scope="module")
def victim(server: Server) -> Person:
    return server.sign_up()


def told(answer: Any) -> Any:
    """All of an answer that is not of this very request."""
    own = answer.headers["x-request-id"]
    headers = {k: v for k, v in answer.headers.items() if k not in {"date", "x-request-id"}}
    return answer.status, answer.body.decode().replace(own, ""), headers


def test_no_answer_reveals_whether_an_address_is_known(
    attack: Attack, victim: Person, ben: Person
) -> None:
    attack("DELETE", f"/api/users/{ben.id}", 204, token=ben)
    unknown = f"{secrets.token_hex(6)}@example.com"
    emails = (victim.email, victim.email.upper(), unknown, ben.email)
    for guess in ("x", "password1", "x" * 256, victim.email, "\ufdfa" * 256):
        answers = [
            attack("POST", LOGIN, WRONG, json={"email": email, "password": guess})
            for email in emails
        ]
        assert len({repr(told(answer)) for answer in answers}) == 1


def test_public_lists_cannot_be_filtered_by_private_fields(attack: Attack, victim: Person) -> None:
    email = victim.email.replace("@", "%40")
    queries = (f"email={email}", "role=admin", "disabled=false", f"q={email}", f"id={victim.id}")
    for query in (*queries, f"after={email}", f"username={email}"):
        attack("GET", f"/api/users?{query}", INVALID)
    attack("GET", f"/api/users/{email}", INVALID)


# More than registering gives


def fresh(**more: Any) -> dict[str, Any]:
    return {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD, **more}


ASSIGNED: list[tuple[str, Any]] = [
    *[("id", "0198c0de-0000-7000-8000-000000000001"), ("version", 99), ("password_hash", "x")],
    *[("email_verified", True), ("disabled", False), ("created_at", "2020-01-01T00:00:00Z")],
    *[("role ", "admin"), ("Role", "admin"), ("role[]", "admin"), ("/role", "admin")],
    *[
        ("r\u043ele", "admin"),
        ("roles", ["admin"]),
        ("is_admin", True),
        ("user", {"role": "admin"}),
    ],
    *[("app_metadata", {"role": "admin"}), ("user_metadata", {}), ("data", {}), ("bio", "x")],
    *[("__proto__", {"role": "admin"}), ("constructor", {"prototype": {"role": "admin"}})],
    *[("invite", "x"), ("confirm", True), ("email_confirm", True), ("gotrue_meta_security", {})],
]


def test_registering_assigns_nothing_else(attack: Attack, server: Server) -> None:
    body = fresh()
    for name, value in ASSIGNED:
        answer = attack("POST", REGISTER, INVALID, json={**body, name: value})
        [error] = answer.json()["errors"]
        assert error["code"] == "unknown"
    assert server.execute(select(User.id).where(User.email == body["email"])) == []


@table(
    ("field", "value"),
    {
        "addresses": ("email", ["a@example.com", "b@example.com"]),
        "an address as object": ("email", {"address": "a@example.com"}),
        "a password that is a number": ("password", 123456789),
        "a password in a list": ("password", [PASSWORD]),
        "no password": ("password", None),
        "a user name that is a number": ("username", 1000),
        "a user name that is a boolean": ("username", True),
        "a user name that is null": ("username", None),
        "user names": ("username", ["anna"]),
        "a reserved name in a disguise": ("username", "\uff41dmin"),
        "a user name with a path": ("username", "../admin"),
        "a user name with markup": ("username", "<b>anna</b>"),
        "a user name of another direction": ("username", "\u202eanna"),
    },
)
def test_registering_takes_strings_of_their_form(
    attack: Attack, server: Server, field: str, value: Any
) -> None:
    before = server.execute(select(func.count(User.id)))
    attack("POST", REGISTER, INVALID, json=fresh(**{field: value}))
    assert server.execute(select(func.count(User.id))) == before


def test_an_admin_cannot_be_made_by_an_admin_by_mistake(attack: Attack, admin: Person) -> None:
    choices: list[Any] = ["Admin", "admin ", "superuser", ["admin"], True, 1, None, {}]
    for role in choices:
        attack("POST", "/api/users", INVALID, token=admin, json=fresh(role=role))
    attack("POST", "/api/users", INVALID, token=admin, json=fresh(email_verified=True))
