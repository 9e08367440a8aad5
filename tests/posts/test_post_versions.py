"""Versions of a post: its tag, and what a change or a deletion of another version is answered with
(more in engine/test_conditional)."""

from __future__ import annotations

import httpx
import pytest

from tests.kit.serving import Person


@pytest.fixture
def path(anna: Person) -> str:
    return f"/api/posts/{anna.post()['id']}"


def tag_of(client: httpx.Client, path: str) -> str:
    return client.get(path).headers["ETag"]


def change(person: Person, path: str, tag: str | None) -> httpx.Response:
    headers = {} if tag is None else {"If-Match": tag}
    return person.http.patch(path, json={"content": "Changed."}, headers=headers)


def test_a_new_post_has_the_tag_that_it_is_read_with(anna: Person) -> None:
    created = anna.http.post("/api/posts", json={"title": "A", "content": "B"})
    assert tag_of(anna.http, created.headers["Location"]) == created.headers["ETag"]
    assert created.headers["Cache-Control"] == "no-store, no-transform"


def test_an_unchanged_post_is_a_304(anna: Person, path: str) -> None:
    answer = anna.http.get(path, headers={"If-None-Match": tag_of(anna.http, path)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert "no-transform" in answer.headers["Cache-Control"]


def test_a_change_gives_a_new_tag_which_is_the_next_one_to_match(anna: Person, path: str) -> None:
    first = tag_of(anna.http, path)
    second = change(anna, path, first).headers["ETag"]
    assert second != first
    assert tag_of(anna.http, path) == second
    assert change(anna, path, first).status_code == 412
    assert change(anna, path, second).status_code == 200


def test_a_post_changes_with_the_name_of_its_author(anna: Person) -> None:
    path = f"/api/posts/{anna.post()['id']}"
    tag = tag_of(anna.http, path)
    name = {"username": f"{anna.username}-2"}
    renamed = anna.http.patch(f"/api/users/{anna.id}", json=name, headers={"If-Match": "*"})
    assert renamed.status_code == 200
    answer = anna.http.get(path, headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer.json()["author"] == {"id": anna.id, **name}
    assert answer.headers["ETag"] != tag
    assert change(anna, path, tag).status_code == 412
    assert change(anna, path, answer.headers["ETag"]).status_code == 200


def test_a_change_requires_if_match(anna: Person, path: str) -> None:
    answer = change(anna, path, None)
    assert (answer.status_code, answer.json()["code"]) == (428, "precondition-required")


def test_a_stale_delete_is_refused(anna: Person, path: str) -> None:
    stale = tag_of(anna.http, path)
    assert change(anna, path, stale).status_code == 200
    assert anna.http.delete(path, headers={"If-Match": stale}).status_code == 412
    assert anna.http.get(path).status_code == 200


@pytest.mark.parametrize("tag", [None, "*", "{tag}"])
def test_a_delete_may_send_if_match(anna: Person, path: str, tag: str | None) -> None:
    headers = {"If-Match": tag.format(tag=tag_of(anna.http, path))} if tag else {}
    assert anna.http.delete(path, headers=headers).status_code == 204
    assert change(anna, path, "*").status_code == 404
    assert anna.http.delete(path, headers={"If-Match": "*"}).status_code == 404


def test_changing_anothers_resource_is_a_403_whatever_the_version(
    anna: Person, ben: Person, path: str
) -> None:
    for tag in (tag_of(anna.http, path), '"other"', "*"):
        assert change(ben, path, tag).status_code == 403
        assert ben.http.delete(path, headers={"If-Match": tag}).status_code == 403


def test_an_admin_is_held_to_the_version_too(anna: Person, admin: Person, path: str) -> None:
    tag = tag_of(anna.http, path)
    assert change(anna, path, tag).status_code == 200
    assert change(admin, path, tag).status_code == 412
    assert change(admin, path, None).status_code == 428
