"""Lists of many pages and streams of many lines, in the Python client."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from openapi.sdk.packages import MODULE
from tests.kit.corpus import give_posts
from tests.kit.fault_proxy import CUT, LOST, FaultProxy, script
from tests.kit.serving import PASSWORD, Person, Server

POSTS = "/api/posts"


@pytest.fixture(scope="module")
def writer(service: Server) -> Person:
    """Somebody with 250 posts."""
    person = service.sign_up()
    give_posts(person, [f"{number}" for number in range(250)])
    return person


@pytest.fixture
def seen() -> list[Any]:
    return []


@pytest.fixture
def byline(writer: Person, client: Callable[..., Any], seen: list[Any]) -> Any:
    found = client(writer.server.url, on_exchange=seen.append)
    found.sign_in(writer.email, PASSWORD)
    seen.clear()
    return found


def test_a_list_has_every_item_once_and_may_be_read_again(
    byline: Any, writer: Person, seen: list[Any]
) -> None:
    posts = byline.posts.list(author_id=writer.id, limit=100)
    assert seen == []
    for reading in (1, 2):
        assert [post.content for post in posts] == [str(number) for number in range(249, -1, -1)]
        assert len(seen) == 3 * reading


def test_a_page_is_asked_for_when_its_time_comes(
    byline: Any, writer: Person, seen: list[Any]
) -> None:
    for post in byline.posts.list(author_id=writer.id, limit=7):
        if post.content == "239":
            break
    assert len(seen) == 2
    pages = [len(page) for page in byline.posts.list(author_id=writer.id, limit=60).pages()]
    assert pages == [60] * 4 + [10]


def test_a_list_can_begin_anywhere_and_be_in_another_order(byline: Any, writer: Person) -> None:
    oldest = byline.posts.list(author_id=writer.id, order="oldest", limit=100)
    first, second = [post for post, _ in zip(oldest, range(2), strict=False)]
    assert (first.content, second.content) == ("0", "1")
    after = byline.posts.list(author_id=writer.id, order="oldest", after=first.id)
    assert next(iter(after)) == second


def test_an_empty_list_has_one_empty_page(byline: Any) -> None:
    nobody = "01a2040f-4f0e-7a08-b6f5-2d91c47e03aa"
    assert list(byline.posts.list(author_id=nobody)) == []
    assert list(byline.posts.list(author_id=nobody).pages()) == [[]]


def test_pages_that_fail_are_asked_for_again(
    writer: Person, client: Callable[..., Any], impatient: None
) -> None:
    with FaultProxy(writer.server.url, script(POSTS, None, CUT, LOST, None, CUT)) as proxy:
        posts = client(proxy.url).posts.list(author_id=writer.id, limit=50)
        assert len({post.id for post in posts}) == 250
        assert len(proxy.asked("GET", POSTS)) == 8


@pytest.mark.parametrize("prefix", ["", "/byline", "/a/b/"])
def test_pages_are_found_below_a_path_that_a_proxy_adds(
    prefix: str, writer: Person, client: Callable[..., Any]
) -> None:
    def strip(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().removeprefix(prefix.rstrip("/"))
        with httpx.Client() as plain:
            return plain.get(writer.server.url + path)

    with httpx.Client(transport=httpx.MockTransport(strip)) as http:
        byline = client(f"https://example.com{prefix}", http=http)
        assert len(list(byline.posts.list(author_id=writer.id, limit=100))) == 250


def test_lists_and_lines_are_read_by_tasks(
    writer: Person, sdk: Any, async_client: Callable[..., Any]
) -> None:
    async def read() -> tuple[int, list[int], int, int]:
        async with async_client(writer.server.url) as byline:
            await byline.sign_in(writer.email, PASSWORD)
            posts = byline.posts.list(author_id=writer.id, limit=100)
            pages = [len(page) async for page in posts.pages()]
            lines = [line async for line in byline.auth.export()]
            count = sum(isinstance(line, sdk.models.Post) for line in lines)
            text = b"".join([chunk async for chunk in byline.auth.export().bytes()])
            return len([post async for post in posts]), pages, count, text.count(b'"type":"post"')

    assert asyncio.run(read()) == (250, [100, 100, 50], 250, 250)


def test_lines_have_the_types_of_what_they_are_of(byline: Any, sdk: Any) -> None:
    models = sdk.models
    kinds = [type(line) for line in byline.auth.export()]
    assert kinds[0] is models.Account
    assert set(kinds) == {models.Account, models.Session, models.AuditEvent, models.Post}


def test_lines_can_be_had_as_the_bytes_that_come(byline: Any) -> None:
    text = b"".join(byline.auth.export().bytes())
    kinds = [json.loads(line)["type"] for line in text.splitlines()]
    assert (kinds[0], kinds.count("post")) == ("account", 250)


def test_a_line_that_is_newer_than_the_client_is_what_it_says(sdk: Any) -> None:
    read = importlib.import_module(f"{MODULE}.resources.auth")._export_account_line
    assert read({"type": "cup", "of": "tea"}) == {"type": "cup", "of": "tea"}


def test_a_stream_that_breaks_off_is_an_error(
    writer: Person, client: Callable[..., Any], impatient: None
) -> None:
    with FaultProxy(writer.server.url, script("/auth/export", LOST, CUT)) as proxy:
        byline = client(proxy.url)
        byline.sign_in(writer.email, PASSWORD)
        lines = iter(byline.auth.export())  # which is sent again until it begins
        assert next(lines)["type"] == "account"
        with pytest.raises(httpx.TransportError):
            list(lines)
        assert len(proxy.asked("GET", "/auth/export")) == 2


def test_a_refused_stream_is_a_problem(
    service: Server, sdk: Any, client: Callable[..., Any]
) -> None:
    with pytest.raises(sdk.AuthenticationRequired):
        next(iter(client(service.url).auth.export()))
