"""Public profiles, and what their owners may do to them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from service.models import IdempotencyKey, Session, User
from service.models.post_documents import PostDocument  # posts
from service.models.posts import Post  # posts
from tests.kit.accounts import ANY, etag, listed, name, patch, told
from tests.kit.serving import PASSWORD, Person, Server
from tests.kit.smtp import until

UNKNOWN = "0198c0de-0000-7000-8000-000000000001"


def delete(http: httpx.Client, person: Person, **headers: str) -> httpx.Response:
    return http.delete(f"/api/users/{person.id}", headers=headers)


# list_users and get_user


def test_a_profile_shows_only_public_fields(
    anonymous: httpx.Client, anna: Person, admin: Person
) -> None:
    account = anna.tokens["user"]
    public = {field: account[field] for field in ("id", "username", "bio", "created_at")}
    for http in (anonymous, anna.http, admin.http):
        assert http.get(f"/api/users/{anna.id}").json() == public
        assert http.get("/api/users", params={"username": anna.username}).json() == [public]
        assert all(user.keys() == public.keys() for user in http.get("/api/users").json())


def test_filtering_by_an_unknown_user_name_lists_nobody(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/api/users", params={"username": f"u-{name()}"})
    assert (answer.status_code, answer.json()) == (200, [])


def test_users_are_paged_newest_first(anonymous: httpx.Client, server: Server) -> None:
    people = [server.sign_up() for _ in range(5)]
    ids = [user["id"] for user in listed(anonymous, "/api/users", limit=3)]
    assert ids == sorted(set(ids), reverse=True)
    mine = {person.id for person in people}
    assert [id_ for id_ in ids if id_ in mine] == [person.id for person in reversed(people)]


def test_a_page_may_start_after_a_deleted_user(anonymous: httpx.Client, server: Server) -> None:
    older, newer = server.sign_up(), server.sign_up()
    assert delete(newer.http, newer).status_code == 204
    page = anonymous.get("/api/users", params={"after": newer.id, "limit": 1})
    assert [user["id"] for user in page.json()] == [older.id]


def test_an_unchanged_profile_is_a_304(anonymous: httpx.Client, anna: Person) -> None:
    path = f"/api/users/{anna.id}"
    tag = anonymous.get(path).headers["etag"]
    same = anonymous.get(path, headers={"If-None-Match": tag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    patch(anna.http, anna, bio="Writes about tea.")
    changed = anonymous.get(path, headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["bio"]) == (200, "Writes about tea.")


@pytest.mark.parametrize(("user_id", "status"), [(UNKNOWN, 404), ("me", 400), ("1", 400)])
def test_an_unknown_user_has_no_profile(user_id: str, status: int, anonymous: httpx.Client) -> None:
    assert anonymous.get(f"/api/users/{user_id}").status_code == status


# update_user


def test_an_owner_changes_their_name_and_bio(anonymous: httpx.Client, anna: Person) -> None:
    before, username = etag(anna), f"new-{name()}"
    answer = patch(anna.http, anna, username=username, bio="Writes about tea.")
    assert answer.status_code == 200
    account = answer.json()
    kept = anna.tokens["user"] | {"username": username, "bio": "Writes about tea."}
    assert account == kept | {"updated_at": account["updated_at"]}
    assert account["updated_at"] > account["created_at"]
    assert answer.headers["etag"] == etag(anna) != before
    assert anonymous.get(f"/api/users/{anna.id}").json()["username"] == username


def test_fields_that_are_not_sent_stay_unchanged(anna: Person) -> None:
    patch(anna.http, anna, bio="Writes about tea.")
    assert patch(anna.http, anna, username=f"new-{name()}").json()["bio"] == "Writes about tea."
    assert patch(anna.http, anna, bio="").json()["bio"] == ""


def test_a_tag_of_another_user_at_the_same_address_matches_nothing(
    anna: Person, ben: Person
) -> None:
    answer = ben.http.get("/auth/me", headers={"If-None-Match": etag(anna)})
    assert (answer.status_code, answer.json()["id"]) == (200, ben.id)
    headers = {"If-Match": etag(anna)}
    refused = ben.http.patch(f"/api/users/{ben.id}", json={"bio": "x"}, headers=headers)
    assert told(refused) == (412, "precondition-failed")


def test_a_change_needs_the_current_tag_or_a_star(anna: Person) -> None:
    path, stale = f"/api/users/{anna.id}", etag(anna)
    for tag in ("*", 'W/"x", {}', "{}", "W/{}"):
        matching = {"If-Match": tag.format(etag(anna))}
        assert anna.http.patch(path, json={"bio": name()}, headers=matching).status_code == 200
    current = etag(anna)
    assert told(anna.http.patch(path, json={"bio": "x"})) == (428, "precondition-required")
    for tag in (stale, f"W/{stale}", '""', '"x"', '"9999"'):
        answer = anna.http.patch(path, json={"bio": "x"}, headers={"If-Match": tag})
        assert told(answer) == (412, "precondition-failed")
    for tag in ("1", "x", '"1', current.strip('"')):
        answer = anna.http.patch(path, json={"bio": "x"}, headers={"If-Match": tag})
        assert told(answer) == (400, "invalid-request")
    assert etag(anna) == current


@pytest.mark.parametrize("changes", [{"role": "admin"}, {"role": "user"}, {"disabled": False}])
def test_role_and_disabled_are_for_admins(changes: dict[str, Any], anna: Person) -> None:
    before = etag(anna)
    answer = patch(anna.http, anna, bio="Writes about tea.", **changes)
    assert told(answer) == (403, "admin-only-field")
    assert etag(anna) == before


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"email": "no address"},
        {"username": "A"},
        {"username": None},
        {"bio": "x" * 501},
        {"bio": None},
        {"disabled": "yes"},
        {"role": "owner"},
    ],
)
def test_a_change_fits_the_specification(changes: dict[str, Any], admin: Person) -> None:
    assert told(patch(admin.http, admin, **changes)) == (400, "invalid-request")


def test_a_name_in_use_cannot_be_taken(anna: Person, ben: Person) -> None:
    before = etag(anna)
    assert told(patch(anna.http, anna, username=ben.username)) == (409, "username-taken")
    assert etag(anna) == before
    assert patch(anna.http, anna, username=anna.username).status_code == 200


def test_a_user_may_not_change_or_delete_another(anna: Person, ben: Person) -> None:
    for headers in (ANY, {"If-Match": etag(anna)}, {"If-Match": '"x"'}):
        answer = ben.http.patch(f"/api/users/{anna.id}", json={"bio": "x"}, headers=headers)
        assert told(answer) == (403, "forbidden")
        assert told(delete(ben.http, anna, **headers)) == (403, "forbidden")
    assert anna.http.get("/auth/me").json() == anna.tokens["user"]


def test_changing_or_deleting_an_unknown_user_is_a_404(anna: Person, admin: Person) -> None:
    for http in (anna.http, admin.http):
        answer = http.patch(f"/api/users/{UNKNOWN}", json={"bio": "x"}, headers=ANY)
        assert told(answer) == (404, "not-found")
        assert told(http.delete(f"/api/users/{UNKNOWN}")) == (404, "not-found")


# delete_user


def test_a_deleted_user_is_gone_with_everything(
    anonymous: httpx.Client, server: Server, anna: Person, ben: Person
) -> None:
    owned = [(User.id, anna.id), (Session.user_id, anna.id), (IdempotencyKey.user_id, anna.id)]
    kept, post = ben.post(), {"title": "x", "content": "x"}  # posts
    key = {"Idempotency-Key": name()}  # posts
    post = anna.http.post("/api/posts", json=post, headers=key).json()  # posts
    its_document = select(PostDocument.id).where(PostDocument.post_id == post["id"])  # posts
    [[document]] = server.execute(its_document)  # posts
    owned += [(Post.author_id, anna.id), (PostDocument.id, document)]  # posts
    server.sign_in(anna.email)
    assert delete(anna.http, anna).status_code == 204
    assert anonymous.get(f"/api/users/{anna.id}").status_code == 404
    assert anonymous.get(f"/api/posts/{post['id']}").status_code == 404  # posts
    assert anonymous.get(f"/api/posts/{kept['id']}").status_code == 200  # posts
    assert told(anna.http.get("/auth/me")) == (401, "session-revoked")
    credentials = {"email": anna.email, "password": PASSWORD}
    assert told(anonymous.post("/auth/login", json=credentials)) == (401, "invalid-credentials")
    for owner, value in owned:
        left = select(func.count()).where(owner == value)
        until(lambda left=left: server.execute(left) == [(0,)])
    assert server.sign_up(email=anna.email).id != anna.id


def test_a_second_delete_is_a_404(anna: Person, admin: Person) -> None:
    assert delete(admin.http, anna).status_code == 204
    assert told(delete(admin.http, anna)) == (404, "not-found")
    assert told(delete(anna.http, anna)) == (401, "session-revoked")


def test_a_delete_with_a_stale_tag_is_refused(anna: Person) -> None:
    stale = etag(anna)
    patch(anna.http, anna, bio="Writes about tea.")
    assert told(delete(anna.http, anna, **{"If-Match": stale})) == (412, "precondition-failed")
    assert anna.http.get("/auth/me").status_code == 200
    assert delete(anna.http, anna, **{"If-Match": etag(anna)}).status_code == 204
