"""Conditional requests for profiles and accounts (more in engine/test_conditional)."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.kit.serving import Person

RESOURCES = ["user", "me", "specification"]


@pytest.fixture
def path(request: pytest.FixtureRequest, anna: Person) -> str:
    """The address of something of Anna's that has an entity tag."""
    return {
        "user": f"/api/users/{anna.id}",
        "me": "/auth/me",
        "specification": "/openapi.json",
    }[request.param]


def tag_of(client: httpx.Client, path: str) -> str:
    return client.get(path).headers["ETag"]


def spelled(pattern: str, tag: str) -> str:
    """A header with the tag, or with the tag and what a server adds when it compresses."""
    pattern = re.sub(r"\{tag([^}]+)\}", lambda found: f'"{tag[1:-1]}{found[1]}"', pattern)
    return pattern.replace("{tag}", tag)


def change(person: Person, path: str, tag: str | bytes | None) -> httpx.Response:
    """A change of a profile, for the version of this tag."""
    headers = {} if tag is None else {"If-Match": tag}
    return person.http.patch(path, json={"bio": "Changed."}, headers=headers)


@pytest.mark.parametrize("path", RESOURCES, indirect=True)
def test_a_tag_is_strong_and_stays_while_nothing_changes(anna: Person, path: str) -> None:
    tag = tag_of(anna.http, path)
    assert tag.startswith('"')
    assert tag.endswith('"')
    assert tag_of(anna.http, path) == tag


@pytest.mark.parametrize("path", RESOURCES, indirect=True)
@pytest.mark.parametrize(
    "known",
    [
        "{tag}",
        "W/{tag-br}",
        '"other", {tag}',
        "*",
    ],
)
def test_a_matching_if_none_match_is_a_304(anna: Person, path: str, known: str) -> None:
    whole = anna.http.get(path)
    asked = {"If-None-Match": spelled(known, whole.headers["ETag"])}
    for answer in (anna.http.get(path, headers=asked), anna.http.head(path, headers=asked)):
        assert (answer.status_code, answer.content) == (304, b"")
        for name in ("ETag", "Cache-Control"):
            assert answer.headers[name] == whole.headers[name]
        assert "Content-Type" not in answer.headers


@pytest.mark.parametrize("path", RESOURCES, indirect=True)
@pytest.mark.parametrize("known", ['"other"', '"*"'])
def test_another_if_none_match_is_a_200(anna: Person, path: str, known: str) -> None:
    answer = anna.http.get(path, headers={"If-None-Match": known.encode("latin-1")})
    assert answer.status_code == 200
    assert answer.content == anna.http.get(path).content


def test_the_tag_of_a_new_resource_is_the_one_it_is_read_with(
    anna: Person, admin: Person, anonymous: httpx.Client
) -> None:
    account = {"email": f"new-{anna.email}", "password": anna.password}
    created = admin.http.post("/api/users", json=account)
    assert tag_of(anonymous, created.headers["Location"]) == created.headers["ETag"]


@pytest.mark.parametrize("path", ["user"], indirect=True)
def test_a_change_gives_a_new_tag_which_is_the_next_one_to_match(anna: Person, path: str) -> None:
    first = tag_of(anna.http, path)
    second = change(anna, path, first).headers["ETag"]
    assert second != first
    assert tag_of(anna.http, "/auth/me") == second  # what a change is answered with
    assert anna.http.get(path, headers={"If-None-Match": first}).status_code == 200
    assert change(anna, path, second).status_code == 200


def test_an_account_is_changed_by_its_own_tag_or_by_that_of_its_profile(
    anna: Person, anonymous: httpx.Client
) -> None:
    path = f"/api/users/{anna.id}"
    account, profile = tag_of(anna.http, "/auth/me"), tag_of(anonymous, path)
    changed = change(anna, path, profile)
    assert changed.headers["ETag"] == tag_of(anna.http, "/auth/me") != account
    assert [change(anna, path, stale).status_code for stale in (account, profile)] == [412, 412]
    assert change(anna, path, changed.headers["ETag"]).status_code == 200


@pytest.mark.parametrize("path", ["user"], indirect=True)
def test_a_change_requires_if_match(anna: Person, path: str) -> None:
    before = anna.http.get(path).json()
    answer = change(anna, path, None)
    assert (answer.status_code, answer.json()["code"]) == (428, "precondition-required")
    assert anna.http.get(path).json() == before


@pytest.mark.parametrize("path", ["user"], indirect=True)
@pytest.mark.parametrize(
    "tag",
    [
        *["*", "{tag}", '"other", {tag}', '{tag},"other"', 'W/"x" , {tag}', ', {tag}, ,"x",'],
        # As nginx, Varnish and Cloudflare make it when they compress; as others do.
        *["W/{tag}", 'W/"x", W/{tag}', "{tag-gzip}", "{tag-br}", "{tag-zstd}", "{tag;gzip}"],
        *["{tag--gzip}", "{tag-deflate}", "{tag-GZIP}", "W/{tag-gzip}", '"x-gzip", {tag-gzip}'],
    ],
)
def test_a_change_of_the_named_version_is_made(anna: Person, path: str, tag: str) -> None:
    answer = change(anna, path, spelled(tag, tag_of(anna.http, path)))
    assert answer.status_code == 200
    assert "Changed." in anna.http.get(path).text


@pytest.mark.parametrize("path", ["user"], indirect=True)
@pytest.mark.parametrize(
    "tag",
    [
        *['"other"', 'W/"other"', 'W/"x", W/"y"', '""', '"*"', '"caf\u00e9"', 'W/""', '"-gzip"'],
        *[
            "{tag-gzip-gzip}",
            "{tag-lzma}",
            "{tag gzip}".replace(" ", "+"),
            "{tag.gzip}",
            "{taggzip}",
        ],
        *['W/"9.9"', '"9.9-gzip"', 'W/"*"', 'W/"other-gzip"'],
    ],
)
def test_a_change_of_another_version_is_refused(anna: Person, path: str, tag: str) -> None:
    before = anna.http.get(path)
    named = spelled(tag, before.headers["ETag"]).encode("latin-1")
    delete = anna.http.delete(path, headers={"If-Match": named})
    for answer in (change(anna, path, named), delete):
        assert (answer.status_code, answer.json()["code"]) == (412, "precondition-failed")
    after = anna.http.get(path)
    assert (after.json(), after.headers["ETag"]) == (before.json(), before.headers["ETag"])


@pytest.mark.parametrize("path", RESOURCES, indirect=True)
def test_an_answer_with_a_tag_asks_proxies_to_leave_it_as_it_is(anna: Person, path: str) -> None:
    for answer in (anna.http.get(path), anna.http.head(path)):
        assert "no-transform" in answer.headers["Cache-Control"]


def test_the_answer_to_a_write_asks_proxies_too(anna: Person, admin: Person) -> None:
    account = {"email": f"new-{anna.email}", "password": anna.password}
    changed = change(anna, f"/api/users/{anna.id}", "*")
    for answer in (changed, admin.http.post("/api/users", json=account)):
        assert answer.headers["Cache-Control"] == "no-store, no-transform"


@pytest.mark.parametrize("path", ["user"], indirect=True)
def test_a_stale_write_is_refused(anna: Person, path: str) -> None:
    stale = tag_of(anna.http, path)
    assert change(anna, path, stale).status_code == 200
    for tag in (stale, f"W/{stale}", spelled("{tag-gzip}", stale)):
        assert change(anna, path, tag).status_code == 412
    assert anna.http.delete(path, headers={"If-Match": stale}).status_code == 412
    assert anna.http.get(path).status_code == 200


@pytest.mark.parametrize("path", ["user"], indirect=True)
@pytest.mark.parametrize("tag", [None, "*", "{tag}"])
def test_a_delete_may_send_if_match(
    anna: Person, anonymous: httpx.Client, path: str, tag: str | None
) -> None:
    headers = {"If-Match": tag.format(tag=tag_of(anonymous, path))} if tag else {}
    assert anna.http.delete(path, headers=headers).status_code == 204
    assert anonymous.get(path).status_code == 404


@pytest.mark.parametrize("path", ["user"], indirect=True)
def test_changing_anothers_resource_is_a_403_whatever_the_version(
    anna: Person, ben: Person, path: str
) -> None:
    for tag in (tag_of(anna.http, path), '"other"', "*"):
        assert change(ben, path, tag).status_code == 403
        assert ben.http.delete(path, headers={"If-Match": tag}).status_code == 403


def test_an_admin_is_held_to_the_version_too(anna: Person, admin: Person) -> None:
    path = f"/api/users/{anna.id}"
    tag = tag_of(anna.http, path)
    assert change(anna, path, tag).status_code == 200
    disabling = {"disabled": True}
    stale = admin.http.patch(path, json=disabling, headers={"If-Match": tag})
    assert stale.status_code == 412
    assert admin.http.patch(path, json=disabling).status_code == 428
