"""What users report of other services' clients does not happen to those of the Python client."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from openapi.sdk.packages import MODULE
from tests.kit.serving import PASSWORD, Server

URL = "http://service.test"
POST_ID = "0199c1ab-2f4e-7d1c-8a3b-5e6f70819203"
SLOW = {"headers": {"Content-Type": "text/html"}, "text": "<html>slow</html>"}
# A prefork server: a worker begins while a thread of its parent is in the middle of a call.
FORKS = f"""
import os, sys, threading
from {MODULE} import Byline
byline = Byline(sys.argv[1])
byline.sign_in(*sys.argv[2:])
threading.Thread(target=lambda: [byline.auth.get_me() for _ in range(30)]).start()
children = []
for _ in range(4):
    if not (child := os.fork()):
        os._exit(byline.auth.get_me().email != sys.argv[2])
    children.append(child)
print([os.waitpid(child, 0)[1] for child in children])
"""


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(answer))


def test_calls_that_waited_for_a_renewal_share_its_failure(sdk: Any, async_client: Any) -> None:
    # Otherwise each of them tries for itself, one after the other, while the service is away.
    asked = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        for _ in range(50):  # all other tasks begin, and wait
            await asyncio.sleep(0)
        return httpx.Response(429, **SLOW)

    async def call() -> list[BaseException]:
        then, store = time.time() - 1, sdk.MemoryStore()
        store.save(sdk.Tokens("old", "long", renew_at=then, expires_at=then, origin=URL))
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            byline = async_client(URL, store=store, retries=0, http=http)
            calls = [byline.auth.get_me() for _ in range(20)]
            return await asyncio.gather(*calls, return_exceptions=True)

    assert {type(error) for error in asyncio.run(call())} == {sdk.UnexpectedAnswer}
    assert asked == ["/auth/refresh"]


@pytest.mark.parametrize("body", [{}, {"message": "Service temporarily moved"}])
def test_an_object_of_a_gateway_is_not_an_empty_list(
    body: dict[str, str], sdk: Any, client: Callable[..., Any]
) -> None:
    byline = client(URL, http=answering(lambda _: httpx.Response(200, json=body)))
    with pytest.raises(sdk.UnexpectedAnswer):
        list(byline.posts.list())


def test_pages_that_come_after_themselves_are_not_asked_for_for_ever(
    sdk: Any, client: Callable[..., Any]
) -> None:
    for length in (1, 2, 3, 50):
        asked: list[str] = []

        def answer(_: httpx.Request, length: int = length, asked: list[str] = asked) -> Any:
            asked.append("page")
            assert len(asked) < 10 * length + 10
            link = f'</api/posts?limit=1&after={len(asked) % length}>; rel="next"'
            return httpx.Response(200, json=[], headers={"Link": link})

        with pytest.raises(sdk.UnexpectedAnswer):
            list(client(URL, http=answering(answer)).posts.list())


def test_many_pages_that_differ_are_all_asked_for(client: Callable[..., Any]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("after", 0)) + 1
        link = {"Link": f'</api/posts?after={number}>; rel="next"'} if number < 70 else {}
        return httpx.Response(200, json=[], headers=link)

    assert list(client(URL, http=answering(answer)).posts.list().pages()) == [[]] * 70


@pytest.mark.parametrize("missing", [None, ""])
def test_nothing_is_not_an_id(missing: str | None, client: Callable[..., Any]) -> None:
    byline = client(URL, http=answering(lambda _: httpx.Response(204)))
    with pytest.raises(ValueError, match="is not an id"):
        byline.posts.delete(missing)


@pytest.mark.parametrize("token", ["byl_sécret", "byl_secret\r\nX-Evil: 1", "byl_secret x"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(
    token: str, client: Callable[..., Any]
) -> None:
    with pytest.raises(ValueError, match="has characters") as refused:
        client(URL, token)
    assert "cret" not in repr(refused.value)
    with pytest.raises(ValueError, match="token is empty"):
        client(URL, "")  # of an environment variable that nobody has set


@pytest.mark.parametrize("token", ["SECRET ", " SECRET", "SEC RET", "SECRET\t", ""])
def test_a_token_of_a_store_that_cannot_be_sent_is_not_shown(
    token: str, service: Server, sdk: Any, client: Callable[..., Any]
) -> None:
    store, later, seen = sdk.MemoryStore(), time.time() + 1000, []
    store.save(sdk.Tokens(token, "SECRET ", later, later, service.url))
    byline = client(service.url, store=store, on_exchange=seen.append)
    for call in (byline.auth.get_me, byline.auth.refresh):
        with pytest.raises(ValueError, match="Authorization has characters") as refused:
            call()
        assert "SEC" not in repr(refused.value) + repr(seen)


def test_a_header_that_cannot_be_sent_is_named(client: Callable[..., Any]) -> None:
    byline = client(URL, http=answering(lambda _: httpx.Response(204)))
    for key in ("schlüssel", "two\nlines"):
        with pytest.raises(ValueError, match="Idempotency-Key"):
            byline.posts.create(title="A", content="B", idempotency_key=key)


def test_errors_and_what_was_read_can_be_copied_into_other_processes(
    service: Server, sdk: Any, client: Callable[..., Any]
) -> None:
    person = service.sign_up()
    byline = client(service.url)
    byline.sign_in(person.email, PASSWORD)
    with pytest.raises(sdk.NotFound) as not_found:
        byline.posts.get(POST_ID)
    page = answering(lambda _: httpx.Response(200, text="<html>"))
    with pytest.raises(sdk.UnexpectedAnswer) as unexpected:
        client(URL, http=page).posts.get(POST_ID)
    post = byline.posts.create(title="A", content="B")
    for copied in (lambda value: pickle.loads(pickle.dumps(value)), copy.copy, copy.deepcopy):
        for error in (not_found.value, unexpected.value):
            same = copied(error)
            assert (type(same), str(same), same.status) == (type(error), str(error), error.status)
        assert copied(not_found.value).request_id == not_found.value.request_id
        assert copied(unexpected.value).body == b"<html>"
        assert copied(post).etag == post.etag


def test_a_line_ends_where_the_service_ended_it(
    service: Server, client: Callable[..., Any]
) -> None:
    # Python knows ten more characters that end lines, all of which a text may contain.
    person = service.sign_up()
    text = "One\u2028two\u2029three\u0085four, and caf\u00e9 \U0001f600"
    person.post(content=text)
    byline = client(service.url)
    byline.sign_in(person.email, PASSWORD)
    assert [line.content for line in byline.auth.export() if hasattr(line, "content")] == [text]


def test_forked_processes_use_a_client_at_once(service: Server, clients: Path) -> None:
    person = service.sign_up()
    program = [sys.executable, "-c", FORKS, service.url, person.email, PASSWORD]
    site = {"PYTHONPATH": str(clients / "site")}
    done = subprocess.run(
        program, env=site, capture_output=True, text=True, timeout=100, check=False
    )
    assert (json.loads(done.stdout or "null"), done.stderr) == ([0] * 4, "")


def test_none_is_no_filter(client: Callable[..., Any]) -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json=[])

    list(client(URL, http=answering(answer)).posts.list(author_id=None, order=None, limit=5))
    assert asked == [f"{URL}/api/posts?limit=5"]
