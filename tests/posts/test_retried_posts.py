"""Idempotency-Key where posts are written (more in engine/test_idempotency)."""

from __future__ import annotations

import secrets

import httpx

from tests.kit.serving import PASSWORD, Person


def write(person: Person, title: str = "Once") -> httpx.Response:
    body = {"title": title, "content": "and only once."}
    return person.http.post("/api/posts", json=body, headers={"Idempotency-Key": "k"})


def test_a_post_that_is_sent_again_is_answered_again_and_written_once(anna: Person) -> None:
    first, again = write(anna), write(anna)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    posts = anna.http.get("/api/posts", params={"author_id": anna.id}).json()
    assert [post["id"] for post in posts] == [first.json()["id"]]


def test_another_post_under_the_same_key_is_refused(anna: Person) -> None:
    assert write(anna).status_code == 201
    refused = write(anna, "Twice")
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency-key-reused")


def test_a_key_belongs_to_one_operation(admin: Person) -> None:
    post = write(admin)
    account = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD}
    key = {"Idempotency-Key": "k"}
    user, again = (admin.http.post("/api/users", json=account, headers=key) for _ in range(2))
    assert (post.status_code, user.status_code) == (201, 201)
    assert again.json() == user.json()
    assert write(admin).json() == post.json()
