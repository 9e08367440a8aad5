"""The entity tags of what everybody may read: they tell nothing of the account behind it."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.kit.accounts import name, patch
from tests.kit.mails import CHANGE, NEW_PASSWORD, VERIFICATION, change, confirm, fresh
from tests.kit.serving import PASSWORD, Person


def _verify(anna: Person, _: Person) -> None:
    token = anna.server.mailbox.token(anna.email, VERIFICATION)
    assert confirm(anna.http, token).status_code == 204


def _change_address(anna: Person, _: Person) -> None:
    email = fresh()
    assert change(anna, email).status_code == 202
    assert confirm(anna.http, anna.server.mailbox.token(email, CHANGE)).status_code == 204


def _change_password(anna: Person, _: Person) -> None:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert anna.http.put("/auth/password", json=body).status_code == 200


def _promote(anna: Person, admin: Person) -> None:
    anna.server.verify(anna)
    assert patch(admin.http, anna, role="admin").status_code == 200


def _disable(anna: Person, admin: Person) -> None:
    assert patch(admin.http, anna, disabled=True).status_code == 200


def _move(anna: Person, admin: Person) -> None:
    assert patch(admin.http, anna, email=fresh()).status_code == 200


PRIVATE = [_verify, _change_address, _change_password, _promote, _disable, _move]


def tags(http: httpx.Client, paths: list[str]) -> list[str]:
    return [http.get(path).headers["etag"] for path in paths]


@pytest.mark.parametrize("happen", PRIVATE)
def test_private_changes_of_an_account_do_not_show_in_public_tags(
    anonymous: httpx.Client, anna: Person, admin: Person, happen: Callable[[Person, Person], None]
) -> None:
    paths = [f"/api/users/{anna.id}", f"/api/posts/{anna.post()['id']}"]
    before = tags(anonymous, paths)
    happen(anna, admin)
    assert tags(anonymous, paths) == before


def test_a_post_can_be_changed_although_its_author_confirms_an_address_meanwhile(
    anna: Person, admin: Person
) -> None:
    path = f"/api/posts/{anna.post()['id']}"
    read = anna.http.get(path).headers["etag"]
    _verify(anna, admin)
    changes, headers = {"title": "Another title"}, {"If-Match": read}
    assert anna.http.patch(path, json=changes, headers=headers).status_code == 200


def test_public_tags_change_with_the_public_content(anonymous: httpx.Client, anna: Person) -> None:
    paths = [f"/api/users/{anna.id}", f"/api/posts/{anna.post()['id']}"]
    profile, post = tags(anonymous, paths)
    assert patch(anna.http, anna, bio="Writes about tea.").status_code == 200
    told, same = tags(anonymous, paths)
    assert (told != profile, same) == (True, post)
    assert patch(anna.http, anna, username=f"new-{name()}").status_code == 200
    assert not {profile, post, told} & set(tags(anonymous, paths))


def test_the_tag_of_a_profile_can_be_used_for_one_change(
    anna: Person, anonymous: httpx.Client
) -> None:
    path = f"/api/users/{anna.id}"
    read = {"If-Match": tags(anonymous, [path])[0]}
    assert anna.http.patch(path, json={"bio": "First."}, headers=read).status_code == 200
    assert anna.http.patch(path, json={"bio": "Second."}, headers=read).status_code == 412
    assert anna.http.delete(path, headers=read).status_code == 412
    read = {"If-Match": f"W/{tags(anonymous, [path])[0]}"}  # as a compressing proxy makes it
    assert anna.http.patch(path, json={"bio": "Third."}, headers=read).status_code == 200
    read = {"If-Match": tags(anonymous, [path])[0]}
    assert anna.http.delete(path, headers=read).status_code == 204


def test_a_name_that_ends_like_an_encoding_is_part_of_the_tag(anna: Person) -> None:
    path = f"/api/posts/{anna.post()['id']}"
    assert patch(anna.http, anna, username=f"n{name()}-gzip").status_code == 200
    old = anna.http.get(path).headers["etag"]
    shorter = anna.http.get("/auth/me").json()["username"].removesuffix("-gzip")
    assert patch(anna.http, anna, username=shorter).status_code == 200
    stale = anna.http.patch(path, json={"title": "x"}, headers={"If-Match": old})
    assert stale.status_code == 412
