"""Conditional requests: 304 for unchanged resources, and 412 instead of overwriting changes."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.kit.planning import Owner

RESOURCES = ["project", "specification"]


@pytest.fixture
def path(request: pytest.FixtureRequest, anna: Owner) -> str:
    """The address of something of Anna's that has an entity tag."""
    return {
        "project": f"/projects/{anna.project()['id']}",
        "specification": "/openapi.json",
    }[request.param]


def tag_of(client: httpx.Client, path: str) -> str:
    return client.get(path).headers["ETag"]


def spelled(pattern: str, tag: str) -> str:
    """A header with the tag, or with the tag and what a server adds when it compresses."""
    pattern = re.sub(r"\{tag([^}]+)\}", lambda found: f'"{tag[1:-1]}{found[1]}"', pattern)
    return pattern.replace("{tag}", tag)


def change(person: Owner, path: str, tag: str | bytes | None) -> httpx.Response:
    """A change of a project, for the version of this tag."""
    headers = {} if tag is None else {"If-Match": tag}
    return person.http.patch(path, json={"notes": "Changed."}, headers=headers)


@pytest.mark.parametrize("path", RESOURCES, indirect=True)
def test_a_tag_is_strong_and_stays_while_nothing_changes(anna: Owner, path: str) -> None:
    tag = tag_of(anna.http, path)
    assert tag.startswith('"')
    assert tag.endswith('"')
    assert tag_of(anna.http, path) == tag


@pytest.mark.parametrize("path", RESOURCES, indirect=True)
@pytest.mark.parametrize(
    "known",
    [
        "{tag}",
        "W/{tag}",
        "{tag-gzip}",
        "W/{tag-br}",
        '"other", {tag}',
        '"other",W/{tag} , "a,b"',
        "*",
        ', {tag}, ,"x",',
    ],
)
def test_a_matching_if_none_match_is_a_304(anna: Owner, path: str, known: str) -> None:
    whole = anna.http.get(path)
    asked = {"If-None-Match": spelled(known, whole.headers["ETag"])}
    for answer in (anna.http.get(path, headers=asked), anna.http.head(path, headers=asked)):
        assert (answer.status_code, answer.content) == (304, b"")
        for name in ("ETag", "Cache-Control"):
            assert answer.headers[name] == whole.headers[name]
        assert "Content-Type" not in answer.headers


@pytest.mark.parametrize("path", RESOURCES, indirect=True)
@pytest.mark.parametrize("known", ['"other"', 'W/"other"', '""', '"*"', '"{"', '"caf\u00e9"'])
def test_another_if_none_match_is_a_200(anna: Owner, path: str, known: str) -> None:
    answer = anna.http.get(path, headers={"If-None-Match": known.encode("latin-1")})
    assert answer.status_code == 200
    assert answer.content == anna.http.get(path).content


@pytest.mark.parametrize("path", RESOURCES, indirect=True)
def test_a_list_of_tags_may_come_in_several_lines(anna: Owner, path: str) -> None:
    # RFC 9110, section 5.3; caches that have several versions send it so.
    lines = [("If-None-Match", '"other"'), ("If-None-Match", tag_of(anna.http, path))]
    assert anna.http.get(path, headers=lines).status_code == 304
    if path.startswith("/projects"):
        ours = {"notes": "New."}
        others, both = ([("If-Match", tag) for _, tag in kept] for kept in (lines[:1], lines))
        assert anna.http.patch(path, json=ours, headers=others).status_code == 412
        assert anna.http.patch(path, json=ours, headers=both).status_code == 200
        mixed = [("If-Match", "*"), *both]  # is no list
        assert anna.http.patch(path, json=ours, headers=mixed).status_code == 400


@pytest.mark.parametrize("malformed", ["x", '"x', 'x"', 'w/"x"', '"x" "y"', '*, "x"', '"x"y'])
def test_a_malformed_list_of_tags_is_refused(anna: Owner, malformed: str) -> None:
    path = f"/projects/{anna.project()['id']}"
    read = anna.http.get(path, headers={"If-None-Match": malformed})
    for answer, name in [(read, "If-None-Match"), (change(anna, path, malformed), "If-Match")]:
        assert answer.status_code == 400
        assert [error["pointer"] for error in answer.json()["errors"]] == [name]


def test_the_tag_of_a_new_resource_is_the_one_it_is_read_with(anna: Owner) -> None:
    created = anna.http.post("/projects", json={"name": "A"})
    assert tag_of(anna.http, created.headers["Location"]) == created.headers["ETag"]


@pytest.mark.parametrize("path", ["project"], indirect=True)
def test_a_change_gives_a_new_tag_which_is_the_next_one_to_match(anna: Owner, path: str) -> None:
    first = tag_of(anna.http, path)
    second = change(anna, path, first).headers["ETag"]
    assert second != first
    assert tag_of(anna.http, path) == second
    assert anna.http.get(path, headers={"If-None-Match": first}).status_code == 200
    assert change(anna, path, second).status_code == 200


@pytest.mark.parametrize("path", ["project"], indirect=True)
def test_a_change_requires_if_match(anna: Owner, path: str) -> None:
    before = anna.http.get(path).json()
    answer = change(anna, path, None)
    assert (answer.status_code, answer.json()["code"]) == (428, "precondition-required")
    assert anna.http.get(path).json() == before


@pytest.mark.parametrize("path", ["project"], indirect=True)
@pytest.mark.parametrize(
    "tag",
    [
        *["*", "{tag}", '"other", {tag}', '{tag},"other"', 'W/"x" , {tag}', ', {tag}, ,"x",'],
        # As nginx, Varnish and Cloudflare make it when they compress; as others do.
        *["W/{tag}", 'W/"x", W/{tag}', "{tag-gzip}", "{tag-br}", "{tag-zstd}", "{tag;gzip}"],
        *["{tag--gzip}", "{tag-deflate}", "{tag-GZIP}", "W/{tag-gzip}", '"x-gzip", {tag-gzip}'],
    ],
)
def test_a_change_of_the_named_version_is_made(anna: Owner, path: str, tag: str) -> None:
    answer = change(anna, path, spelled(tag, tag_of(anna.http, path)))
    assert answer.status_code == 200
    assert "Changed." in anna.http.get(path).text


@pytest.mark.parametrize("path", ["project"], indirect=True)
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
def test_a_change_of_another_version_is_refused(anna: Owner, path: str, tag: str) -> None:
    before = anna.http.get(path)
    named = spelled(tag, before.headers["ETag"]).encode("latin-1")
    delete = anna.http.delete(path, headers={"If-Match": named})
    for answer in (change(anna, path, named), delete):
        assert (answer.status_code, answer.json()["code"]) == (412, "precondition-failed")
    after = anna.http.get(path)
    assert (after.json(), after.headers["ETag"]) == (before.json(), before.headers["ETag"])


@pytest.mark.parametrize("path", RESOURCES, indirect=True)
def test_an_answer_with_a_tag_asks_proxies_to_leave_it_as_it_is(anna: Owner, path: str) -> None:
    for answer in (anna.http.get(path), anna.http.head(path)):
        assert "no-transform" in answer.headers["Cache-Control"]


def test_the_answer_to_a_write_asks_proxies_too(anna: Owner) -> None:
    made = anna.http.post("/projects", json={"name": "A"})
    for answer in (made, change(anna, made.headers["Location"], "*")):
        assert answer.headers["Cache-Control"] == "no-store, no-transform"


@pytest.mark.parametrize("path", ["project"], indirect=True)
def test_a_stale_write_is_refused(anna: Owner, path: str) -> None:
    stale = tag_of(anna.http, path)
    assert change(anna, path, stale).status_code == 200
    for tag in (stale, f"W/{stale}", spelled("{tag-gzip}", stale)):
        assert change(anna, path, tag).status_code == 412
    assert anna.http.delete(path, headers={"If-Match": stale}).status_code == 412
    assert anna.http.get(path).status_code == 200


@pytest.mark.parametrize("path", ["project"], indirect=True)
@pytest.mark.parametrize("tag", [None, "*", "{tag}"])
def test_a_delete_may_send_if_match(
    anna: Owner, anonymous: httpx.Client, path: str, tag: str | None
) -> None:
    headers = {"If-Match": tag.format(tag=tag_of(anonymous, path))} if tag else {}
    assert anna.http.delete(path, headers=headers).status_code == 204
    assert anonymous.get(path).status_code == 404


@pytest.mark.parametrize("tag", ['"1.1"', "*"])
def test_an_unknown_resource_is_a_404_whatever_the_version(anna: Owner, tag: str) -> None:
    path = f"/projects/{anna.project()['id']}"
    assert anna.http.delete(path).status_code == 204
    assert change(anna, path, tag).status_code == 404
    assert anna.http.delete(path, headers={"If-Match": tag}).status_code == 404


@pytest.mark.parametrize("path", ["project"], indirect=True)
def test_changing_anothers_resource_is_a_403_whatever_the_version(
    anna: Owner, ben: Owner, path: str
) -> None:
    for tag in (tag_of(anna.http, path), '"other"', "*"):
        assert change(ben, path, tag).status_code == 403
        assert ben.http.delete(path, headers={"If-Match": tag}).status_code == 403
