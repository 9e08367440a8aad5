"""Operations on accounts that only admins may use, and that one admin always remains."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from service.models import User
from tests.kit.accounts import etag, listed, name, patch, told
from tests.kit.serving import PASSWORD, Person, Server


@pytest.fixture
def last_admin(server: Server, admin: Person) -> Iterator[Person]:
    """An admin, while all others are none for once; one is disabled."""
    admins = User.role == "admin"
    others = [id_ for [id_] in server.execute(select(User.id).where(admins, User.id != admin.id))]
    server.execute(update(User).where(User.id.in_(others)).values(role="user"))
    disabled = server.make_admin(server.sign_up())
    server.execute(update(User).where(User.id == disabled.id).values(disabled=True))
    yield admin
    server.execute(update(User).where(User.id.in_(others)).values(role="admin"))


# create_user


@pytest.mark.parametrize("choice", [{}, {"role": "user"}, {"role": "admin"}])
def test_accounts_created_by_an_admin_start_like_registered_ones(
    choice: dict[str, str], server: Server, admin: Person
) -> None:
    body = {"email": f"{name()}@EXAMPLE.com", "password": PASSWORD, **choice}
    answer = admin.http.post("/api/users", json=body)
    assert answer.status_code == 201
    account = answer.json()
    assert (account["role"], account["email"]) == ("user", body["email"])
    assert answer.headers["location"] == f"/api/users/{account['id']}"
    person = server.sign_in(body["email"])
    assert person.tokens["user"] == account
    profile = admin.http.get(answer.headers["location"])
    assert profile.headers["etag"] == answer.headers["etag"]
    assert person.http.get("/api/accounts").status_code == 403


@pytest.mark.parametrize("changes", [{"role": "user"}, {"disabled": True}])
def test_an_admin_demoted_while_the_password_is_hashed_creates_no_account(
    changes: dict[str, Any], server: Server, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hashed(password: str) -> str:
        server.execute(update(User).where(User.id == admin.id).values(**changes))
        return "x"

    email = f"{secrets.token_hex(6)}@example.com"
    monkeypatch.setattr("service.domain.passwords.hashed", hashed)
    answer = admin.http.post("/api/users", json={"email": email, "password": PASSWORD})
    assert answer.status_code in {401, 403}
    assert server.execute(select(User.id).where(User.email == email)) == []


def test_an_account_for_someone_follows_the_rules_of_registering(
    admin: Person, anna: Person
) -> None:
    new = {"email": f"{name()}@example.com", "password": PASSWORD}
    for field, value, refusal in (
        ("email", anna.email.upper(), (409, "email-taken")),
        ("username", anna.username, (409, "username-taken")),
        ("username", "admin", (400, "invalid-request")),
        ("password", "password1", (400, "weak-password")),
        ("role", "owner", (400, "invalid-request")),
        ("email", f" {new['email']}", (400, "invalid-request")),
    ):
        assert told(admin.http.post("/api/users", json=new | {field: value})) == refusal


# update_user


def test_a_new_role_applies_from_the_next_request(
    server: Server, anna: Person, admin: Person
) -> None:
    server.verify(anna)
    for role, status in (("admin", 200), ("user", 403)):
        assert patch(admin.http, anna, role=role).json()["role"] == role
        assert anna.http.get("/api/accounts").status_code == status


def test_disabling_ends_the_sessions_for_good(
    anonymous: httpx.Client, server: Server, anna: Person, admin: Person
) -> None:
    assert patch(admin.http, anna, disabled=True).json()["disabled"] is True
    refresh = server.client(anna.tokens["refresh_token"])
    for disabled in (True, False):
        assert patch(admin.http, anna, disabled=disabled).json()["disabled"] is disabled
        assert told(anna.http.get("/auth/me")) == (401, "session-revoked")
        assert told(refresh.post("/auth/refresh")) == (401, "session-revoked")
    assert server.sign_in(anna.email).http.get("/auth/me").status_code == 200


def test_other_changes_by_an_admin_end_no_session(
    server: Server, anna: Person, admin: Person
) -> None:
    server.verify(anna)
    patch(admin.http, anna, disabled=False, role="admin", bio="Writes about tea.")
    assert anna.http.get("/auth/me").json()["bio"] == "Writes about tea."


# The last admin


@pytest.mark.parametrize("changes", [{"role": "user"}, {"disabled": True}, None])
def test_the_last_active_admin_cannot_be_demoted_disabled_or_deleted(
    changes: dict[str, Any] | None, server: Server, last_admin: Person
) -> None:
    def retire() -> httpx.Response:
        if changes is None:
            return last_admin.http.delete(f"/api/users/{last_admin.id}")
        return patch(last_admin.http, last_admin, **changes)

    before = etag(last_admin)
    assert told(retire()) == (409, "last-admin")
    assert etag(last_admin) == before
    assert patch(last_admin.http, last_admin, role="admin", bio="Still here.").status_code == 200
    server.make_admin(server.sign_up())
    assert retire().status_code in {200, 204}


# list_accounts


def test_accounts_are_listed_for_admins_only(
    anonymous: httpx.Client, anna: Person, admin: Person
) -> None:
    assert told(anonymous.get("/api/accounts")) == (401, "authentication-required")
    assert told(anna.http.get("/api/accounts")) == (403, "admin-required")
    accounts = listed(admin.http, "/api/accounts", limit=100)
    assert anna.tokens["user"] in accounts
    ids = [account["id"] for account in accounts]
    assert ids == sorted(set(ids), reverse=True)


def test_accounts_are_filtered(server: Server, anna: Person, ben: Person, admin: Person) -> None:
    server.execute(update(User).where(User.id == ben.id).values(disabled=True))
    everybody = {anna.id, ben.id, admin.id}
    for query, found in (
        ({"email": anna.email.upper()}, {anna.id}),
        ({"email": f"{name()}@example.com"}, set()),
        ({"role": "admin"}, {admin.id}),
        ({"role": "user"}, {anna.id, ben.id}),
        ({"disabled": "true"}, {ben.id}),
        ({"disabled": "false"}, {anna.id, admin.id}),
        ({"disabled": "false", "role": "user", "email": anna.email}, {anna.id}),
        ({"disabled": "true", "email": anna.email}, set()),
    ):
        accounts = listed(admin.http, "/api/accounts", limit=100, **query)
        assert {account["id"] for account in accounts} & everybody == found, query


@pytest.mark.parametrize(
    "query",
    [
        {"email": "nobody"},
        {"email": '"no body"@example.com'},
        {"role": "owner"},
        {"disabled": "1"},
        {"username": "anna"},
    ],
)
def test_an_impossible_filter_is_named_in_the_error(query: dict[str, str], admin: Person) -> None:
    answer = admin.http.get("/api/accounts", params=query)
    assert told(answer) == (400, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == list(query)
