"""Registration and signing in."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable

import argon2
import httpx
import jwt
import pytest
from sqlalchemy import select, update

from service.models import User
from tests.kit.serving import PASSWORD, Person, Server

Serve = Callable[..., Server]


def name() -> str:
    return secrets.token_hex(6)


def account(**fields: str) -> dict[str, str]:
    """A body that registers somebody new."""
    return {"email": f"{name()}@example.com", "password": PASSWORD, **fields}


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


# register


def test_registering_returns_the_new_account_and_its_location(anonymous: httpx.Client) -> None:
    body = account(username=f"u-{name()}")
    answer = anonymous.post("/auth/register", json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert made == {
        "id": made["id"],
        "email": body["email"],
        "email_verified": False,
        "username": body["username"],
        "bio": "",
        "role": "user",
        "disabled": False,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
    }
    assert answer.headers["location"] == f"/api/users/{made['id']}"
    profile = anonymous.get(answer.headers["location"])
    assert profile.headers["etag"] == answer.headers["etag"]
    assert profile.json()["username"] == body["username"]
    assert answer.headers["cache-control"] == "no-store, no-transform"


@pytest.mark.parametrize(
    "spelling", ["{}@EXAMPLE.com", "{}@example\uff0ecom", "\uff4d{}@example.com", "{}@ⓔxample.com"]
)
def test_an_account_is_the_same_however_its_address_is_spelled(
    spelling: str, anonymous: httpx.Client
) -> None:
    spelled = spelling.format(f"ANNA-{name()}")
    plain = unicodedata.normalize("NFKC", spelled).lower()
    made = anonymous.post("/auth/register", json=account(email=spelled))
    assert made.json()["email"] == spelled
    assert plain.endswith("@example.com")
    again = anonymous.post("/auth/register", json=account(email=plain))
    assert told(again) == (409, "email-taken")
    for email in (spelled, plain):
        credentials = {"email": email, "password": PASSWORD}
        assert anonymous.post("/auth/login", json=credentials).status_code == 200


@pytest.mark.parametrize("space", [" ", "\t", "\n", "\u00a0", "\u3000", "\u200b"])
def test_spaces_around_an_address_are_refused(space: str, anonymous: httpx.Client) -> None:
    address = f"{name()}@example.com"
    for email in (address + space, space + address):
        answer = anonymous.post("/auth/register", json=account(email=email))
        assert told(answer) == (400, "invalid-request")
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/email"]
        assert address not in answer.text


def test_a_missing_username_is_generated_and_not_derived_from_the_address(
    anonymous: httpx.Client,
) -> None:
    local = f"marguerite-{name()}"
    made = [
        anonymous.post("/auth/register", json=account(email=f"{local}@{host}.example")).json()
        for host in ("here", "there")
    ]
    first, second = (user["username"] for user in made)
    assert first != second
    for username in (first, second):
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{2,29}", username)
        assert not any(part in username for part in ("marguerite", "here", "example"))


def test_a_username_belongs_to_one_user(anonymous: httpx.Client, anna: Person) -> None:
    answer = anonymous.post("/auth/register", json=account(username=anna.username))
    assert told(answer) == (409, "username-taken")


@pytest.mark.parametrize("username", ["Anna", "an", "-anna", "an na", "anna\n", "änna", "a" * 31])
def test_a_malformed_username_is_refused(username: str, anonymous: httpx.Client) -> None:
    answer = anonymous.post("/auth/register", json=account(username=username))
    assert told(answer) == (400, "invalid-request")
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/username"}


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("password1", "common"),
        ("PassWord1", "common"),
        ("\uff50assword1", "common"),
        ("Marguerite-D@example.com", "e-mail address"),
        ("MARGUERITE-D", "e-mail address"),
        ("u-marguerite", "user name"),
    ],
)
def test_a_weak_password_is_refused_with_a_reason(
    password: str, reason: str, anonymous: httpx.Client
) -> None:
    body = {"email": "marguerite-d@example.com", "username": "u-marguerite", "password": password}
    answer = anonymous.post("/auth/register", json=body)
    assert told(answer) == (400, "weak-password")
    assert reason in answer.json()["detail"]
    assert password not in answer.text


def test_the_operator_may_require_longer_passwords(serve: Serve) -> None:
    with serve(password_min_length=15).client() as anonymous:
        short = anonymous.post("/auth/register", json=account(password="fourteen chars"))
        assert told(short) == (400, "weak-password")
        assert "15" in short.json()["detail"]
        long = anonymous.post("/auth/register", json=account(password="fifteen chars!!"))
        assert long.status_code == 201


def test_nobody_registers_as_an_admin(anonymous: httpx.Client) -> None:
    answer = anonymous.post("/auth/register", json=account(role="admin"))
    assert told(answer) == (400, "invalid-request")


# login


def test_signing_in_gives_two_tokens_and_the_account(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    credentials = {"email": anna.email, "password": anna.password}
    answer = anonymous.post("/auth/login", json=credentials)
    given = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert given["user"] == anna.http.get("/auth/me").json()
    assert given["token_type"] == "Bearer"
    for token, typ, seconds in (("access", "at+jwt", 900), ("refresh", "rt+jwt", 30 * 86_400)):
        text = given[f"{token}_token"]
        claims = jwt.decode(text, options={"verify_signature": False})
        assert jwt.get_unverified_header(text)["typ"] == typ
        assert (claims["sub"], claims["exp"] - claims["iat"]) == (anna.id, seconds)
    assert (given["expires_in"], given["refresh_expires_in"]) == (900, 30 * 86_400)


def test_a_password_is_the_same_however_it_is_composed(
    anonymous: httpx.Client, server: Server
) -> None:
    person = server.sign_up(password="\ufb01ve caf\u00e9s at dawn")
    for password, status in (("five cafe\u0301s at dawn", 200), ("five cafes at dawn", 401)):
        credentials = {"email": person.email, "password": password}
        assert anonymous.post("/auth/login", json=credentials).status_code == status


def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(
    anonymous: httpx.Client, server: Server, anna: Person, ben: Person
) -> None:
    server.execute(update(User).where(User.id == ben.id).values(disabled=True))
    unknown = f"{name()}@example.com"
    seen = []
    for email, password in ((unknown, PASSWORD), (anna.email, "wrong"), (ben.email, "wrong")):
        answer = anonymous.post("/auth/login", json={"email": email, "password": password})
        assert told(answer) == (401, "invalid-credentials")
        request_id = answer.headers.pop("x-request-id")
        answer.headers.pop("date", None)
        seen.append((answer.text.replace(request_id, ""), answer.headers.multi_items()))
    assert seen[0] == seen[1] == seen[2]


def test_an_unknown_address_takes_as_much_hashing_as_a_wrong_password(
    anonymous: httpx.Client, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify, hashing = argon2.PasswordHasher.verify, []

    def noted(hasher: argon2.PasswordHasher, stored: str, password: str) -> bool:
        hashing.append(argon2.extract_parameters(stored))
        return verify(hasher, stored, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", noted)
    for email in (anna.email, f"{name()}@example.com"):
        answer = anonymous.post("/auth/login", json={"email": email, "password": "wrong"})
        assert told(answer) == (401, "invalid-credentials")
    assert hashing == hashing[:1] * 2


def test_only_the_correct_password_reveals_that_an_account_is_disabled(
    anonymous: httpx.Client, server: Server, anna: Person
) -> None:
    server.execute(update(User).where(User.id == anna.id).values(disabled=True))
    right = {"email": anna.email, "password": anna.password}
    assert told(anonymous.post("/auth/login", json=right)) == (403, "account-disabled")
    wrong = right | {"password": "wrong"}
    assert told(anonymous.post("/auth/login", json=wrong)) == (401, "invalid-credentials")


def test_only_the_correct_password_reveals_that_an_address_is_unverified(serve: Serve) -> None:
    server = serve(require_verified_email=True)
    right = account()
    wrong = right | {"password": "wrong"}
    with server.client() as anonymous:
        anonymous.post("/auth/register", json=right)
        assert told(anonymous.post("/auth/login", json=right)) == (403, "email-unverified")
        assert told(anonymous.post("/auth/login", json=wrong)) == (401, "invalid-credentials")
    server.execute(update(User).where(User.email == right["email"]).values(email_verified=True))
    assert server.sign_in(right["email"]).http.get("/auth/me").status_code == 200


def test_an_outdated_hash_is_replaced_at_the_next_sign_in(
    server: Server, anna: Person, hashing_in_full: None
) -> None:
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(anna.password)
    server.execute(update(User).where(User.id == anna.id).values(password_hash=weak))
    server.sign_in(anna.email)
    [[stored]] = server.execute(select(User.password_hash).where(User.id == anna.id))
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    server.sign_in(anna.email)
