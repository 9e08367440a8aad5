"""The calls that older clients make, exactly as they make them."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest

CREDENTIALS = {"password": "correct horse battery staple"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def email(anonymous: httpx.Client) -> str:
    email = f"{secrets.token_hex(6)}@example.com"
    answer = anonymous.post("/auth/register", json={"email": email, **CREDENTIALS})
    assert answer.status_code == 201
    assert answer.json()["email"] == email
    return email


@pytest.fixture
def login(anonymous: httpx.Client, email: str) -> dict[str, Any]:
    answer = anonymous.post("/auth/login", json={"email": email, **CREDENTIALS})
    assert answer.status_code == 200
    return answer.json()


@pytest.fixture
def access(login: dict[str, Any]) -> dict[str, str]:
    return bearer(login["access_token"])


def test_older_clients_register_and_sign_in(login: dict[str, Any], email: str) -> None:
    assert login.keys() >= {"access_token", "refresh_token", "user"}
    assert login["user"]["email"] == email


def test_older_clients_refresh_with_the_refresh_token_as_bearer(
    anonymous: httpx.Client, login: dict[str, Any]
) -> None:
    answer = anonymous.post("/auth/refresh", headers=bearer(login["refresh_token"]))
    assert answer.status_code == 200
    token = answer.json()["access_token"]
    assert token != login["access_token"]
    assert anonymous.get("/auth/me", headers=bearer(token)).status_code == 200


def test_older_clients_read_their_account(
    anonymous: httpx.Client, access: dict[str, str], email: str
) -> None:
    answer = anonymous.get("/auth/me", headers=access)
    assert (answer.status_code, answer.json()["email"]) == (200, email)


def test_older_clients_write_and_list_posts(  # posts
    anonymous: httpx.Client, access: dict[str, str]
) -> None:
    body = {"title": "Notes on tea", "content": "Warm the pot first."}
    answer = anonymous.post("/api/posts", json=body, headers=access)
    assert (answer.status_code, answer.json()["title"]) == (201, "Notes on tea")
    posts = anonymous.get("/api/posts")
    assert posts.status_code == 200
    assert isinstance(posts.json(), list)
    assert "Notes on tea" in {post["title"] for post in posts.json()}


def test_older_clients_list_and_read_users(anonymous: httpx.Client, login: dict[str, Any]) -> None:
    users = anonymous.get("/api/users")
    assert users.status_code == 200
    assert login["user"]["id"] in {user["id"] for user in users.json()}
    user = anonymous.get(f"/api/users/{login['user']['id']}")
    assert (user.status_code, user.json()["id"]) == (200, login["user"]["id"])


def test_older_clients_delete_their_account(
    anonymous: httpx.Client, access: dict[str, str], login: dict[str, Any]
) -> None:
    path = f"/api/users/{login['user']['id']}"
    answer = anonymous.delete(path, headers=access)
    assert (answer.status_code, answer.content) == (204, b"")
    assert anonymous.get(path).status_code == 404


def test_older_clients_search(anonymous: httpx.Client, access: dict[str, str]) -> None:  # posts
    word = f"word{secrets.token_hex(6)}"
    body = {"title": word, "content": "Warm the pot first."}
    post = anonymous.post("/api/posts", json=body, headers=access).json()
    answer = anonymous.get("/api/search", params={"q": word})
    assert answer.status_code == 200
    assert answer.json().keys() == {"results"}
    assert [result["post"]["id"] for result in answer.json()["results"]] == [post["id"]]
