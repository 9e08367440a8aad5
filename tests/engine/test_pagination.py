"""Pages: following the links visits every item once, whatever is added meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit
from uuid import UUID

import httpx
import pytest

from tests.kit.planning import Owner

AN_ID = "01a20411-99fb-7f52-8c1d-e9604b7a35d2"


def next_of(answer: httpx.Response) -> str | None:
    """The reference that a page's Link header gives as the next one."""
    assert answer.status_code == 200, answer.text
    link = answer.headers.get("Link")
    if link is None:
        return None
    match = re.fullmatch(r'<([^<>"\s]+)>; rel="next"', link)
    assert match, link
    return match[1]


def pages(client: httpx.Client, first: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
    """The pages of a list, each asked for when it is its turn."""
    answer = client.get(first, params=query)
    yield answer.json()
    while reference := next_of(answer):
        answer = client.get(urljoin(str(answer.url), reference))
        yield answer.json()


def names(items: list[dict[str, Any]]) -> str:
    return "".join(item["name"] for item in items)


Write = Callable[[str], None]


@pytest.fixture
def write(anna: Owner) -> Write:
    """Begins projects of Anna, each named by one letter."""

    def _write(letters: str) -> None:
        for letter in letters:
            anna.project(letter)

    return _write


@pytest.mark.parametrize(
    ("order", "limit", "expected"),
    [
        ("newest", 3, ["gfe", "dcb", "a"]),
        ("newest", 7, ["gfedcba"]),
        ("newest", 1, list("gfedcba")),
        ("newest", 100, ["gfedcba"]),
        ("oldest", 3, ["abc", "def", "g"]),
        ("oldest", 6, ["abcdef", "g"]),
    ],
)
def test_following_the_links_visits_every_page(
    anna: Owner, write: Write, order: str, limit: int, expected: list[str]
) -> None:
    write("abcdefg")
    walk = pages(anna.http, "/projects", owner_id=anna.id, order=order, limit=limit)
    assert [names(page) for page in walk] == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [("newest", ["fe", "dc", "ba"]), ("oldest", ["ab", "cd", "ef", "xy", "xy"])],
)
def test_items_added_meanwhile_repeat_and_hide_none(
    anna: Owner, write: Write, order: str, expected: list[str]
) -> None:
    write("abcdef")
    seen = []
    for page in pages(anna.http, "/projects", owner_id=anna.id, order=order, limit=2):
        seen.append(names(page))
        if len(seen) <= 2:
            write("xy")
    assert seen == expected


def test_items_deleted_meanwhile_hide_no_other(anna: Owner, write: Write) -> None:
    write("abcdef")
    seen = []
    for page in pages(anna.http, "/projects", owner_id=anna.id, limit=2):
        seen.append(names(page))
        for project in page:
            assert anna.http.delete(f"/projects/{project['id']}").status_code == 204
    assert seen == ["fe", "dc", "ba"]


def test_there_are_twenty_to_a_page_unless_asked_otherwise(anna: Owner, write: Write) -> None:
    write("x" * 21)
    assert [len(p) for p in pages(anna.http, "/projects", owner_id=anna.id)] == [20, 1]
    whole = anna.http.get("/projects", params={"owner_id": anna.id, "limit": 21})
    assert len(whole.json()) == 21
    assert "Link" not in whole.headers


def test_the_next_page_is_after_the_last_item(anna: Owner, write: Write) -> None:
    write("abc")
    answer = anna.http.get("/projects", params={"owner_id": anna.id, "limit": 2})
    reference = urlsplit(next_of(answer) or "")
    assert reference.path == "/projects"
    assert parse_qs(reference.query)["after"] == [answer.json()[-1]["id"]]


def test_the_link_keeps_the_query_parameters(anna: Owner, write: Write) -> None:
    write("abcd")
    query = {
        "owner_id": anna.id,
        "created_after": "2020-01-01T01:00:00+01:00",
        "created_before": "2100-01-01T00:00:00.000Z",
        "order": "oldest",
        "limit": "1",
    }
    answer = anna.http.get("/projects", params=query)
    for number in range(3):
        reference = next_of(answer) or ""
        given = parse_qs(urlsplit(reference).query)
        assert given == {**{k: [v] for k, v in query.items()}, "after": [answer.json()[0]["id"]]}
        answer = anna.http.get(reference)
        assert names(answer.json()) == "bcd"[number]


def test_the_link_adds_no_parameter_of_its_own(anna: Owner, write: Write) -> None:
    write("x" * 21)
    reference = next_of(anna.http.get("/projects")) or ""
    assert set(parse_qs(urlsplit(reference).query)) == {"after"}


def test_the_last_page_has_no_link(anna: Owner, write: Write) -> None:
    query = {"owner_id": anna.id, "limit": 2}
    for letter in ("", "a", "b"):
        write(letter)
        assert "Link" not in anna.http.get("/projects", params=query).headers
    write("c")
    assert next_of(anna.http.get("/projects", params=query))


def test_a_page_may_start_after_what_is_gone_or_never_was(anna: Owner, write: Write) -> None:
    write("abc")
    [_, b, _] = anna.http.get("/projects", params={"owner_id": anna.id}).json()
    between = str(UUID(int=UUID(b["id"]).int - 1))
    assert anna.http.delete(f"/projects/{b['id']}").status_code == 204
    for after, order, expected in [
        (b["id"], "newest", "a"),
        (b["id"], "oldest", "c"),
        (between, "newest", "a"),
        (between, "oldest", "c"),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", "newest", "ca"),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", "oldest", ""),
        ("00000000-0000-0000-0000-000000000000", "newest", ""),
        ("00000000-0000-0000-0000-000000000000", "oldest", "ac"),
    ]:
        query = {"owner_id": anna.id, "after": after, "order": order}
        assert names(anna.http.get("/projects", params=query).json()) == expected


def test_an_id_in_capitals_is_the_same_id(anna: Owner, write: Write) -> None:
    write("abc")
    [c, *_] = anna.http.get("/projects", params={"owner_id": anna.id}).json()
    query = {"owner_id": anna.id.upper(), "after": c["id"].upper()}
    assert names(anna.http.get("/projects", params=query).json()) == "ba"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost"},
        {"Host": "localhost:4711"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher"},
        {"Forwarded": "host=evil.example", "X-Forwarded-Prefix": "//evil.example"},
    ],
)
def test_the_link_is_relative_whatever_the_host(
    anna: Owner, write: Write, headers: dict[str, str]
) -> None:
    write("ab")
    query = {"owner_id": anna.id, "limit": 1}
    plain = anna.http.get("/projects", params=query)
    answer = anna.http.get("/projects", params=query, headers=headers)
    assert answer.headers["Link"] == plain.headers["Link"]
    assert answer.headers["Link"].startswith(f"</projects?owner_id={anna.id}&limit=1&after=")


@pytest.mark.parametrize(
    "wrong",
    [
        *({"limit": limit} for limit in ("0", "101", "-1", "", "1.0", "1e1", " 5", "+5", "1_0")),
        *({"limit": limit} for limit in ("05", "\u0665", "\uff15", "9" * 5000, "ten", "0x10")),
        *({"after": after} for after in ("", "1", "last", f"{{{AN_ID}}}", AN_ID.replace("-", ""))),
        {"page": "2"},
        {"offset": "20"},
        {"limit": ["1", "2"]},
    ],
)
def test_an_impossible_page_is_refused(anonymous: httpx.Client, wrong: dict[str, Any]) -> None:
    answer = anonymous.get("/projects", params=wrong)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")
    assert {error["pointer"] for error in answer.json()["errors"]} == set(wrong)
