"""Searches that cost much: they end, and no other request waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from service.engine.database.statements import Prepared
from service.models import PostDocument, post_documents
from tests.kit.serving import Person, Server

# A statement without an end.
ENDLESS = {
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
    " SELECT x FROM n WHERE x < 0",
    "postgresql": "SELECT count(*) FROM generate_series(1, 9999999) a,"
    " generate_series(1, 9999999) b",
}
FREQUENT = [
    "the",
    '"the the the"',
    "the a of and",
    "the -the -a",
    "a -zebra",
    "t",
    '"the of" -"a the"',
]


@pytest.fixture
def endless(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server whose searches never end by themselves."""
    kind = "sqlite" if server.settings.embedded else "postgresql"
    for name in ("_fts5_search", "_tsvector_search"):
        monkeypatch.setattr(post_documents, name, Prepared(sa.text(ENDLESS[kind])))
    monkeypatch.setattr(post_documents, "SEARCH_TIMEOUT_SECONDS", 0.2)
    return server


def test_a_search_that_takes_too_long_is_a_503(endless: Server) -> None:
    with endless.client() as client:
        began = time.monotonic()
        answer = client.get("/api/search", params={"q": "tea"})
        assert time.monotonic() - began < 30
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.json()["detail"] == "The database took too long for this."
        assert answer.headers["Retry-After"] == "1"


def test_the_connection_works_for_other_statements_after_a_cancelled_search(
    endless: Server,
) -> None:
    anna = endless.sign_up()
    for _ in range(10):  # on whichever connection the pool has
        assert anna.http.get("/api/search", params={"q": "tea"}).status_code == 503
        assert anna.post()["title"] == "A title"
    slow = {"sqlite": "SELECT 1", "postgresql": "SELECT pg_sleep(0.5)"}
    kind = "sqlite" if endless.settings.embedded else "postgresql"
    assert endless.execute(sa.text(slow[kind]))


def test_reads_and_writes_do_not_wait_for_searches(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, inside = threading.Event(), []

    def _wait(**_: Any) -> list[Any]:
        inside.append(1)
        assert over.wait(60)
        return []

    monkeypatch.setattr(PostDocument, "matching", _wait)
    anna = server.sign_up()
    with ThreadPoolExecutor(40) as threads:
        try:
            searches = [threads.submit(_search, server) for _ in range(40)]
            until(lambda: sum(search.done() for search in searches) >= 24)
            post = anna.post()
            for _ in range(20):
                assert anna.http.get(f"/api/posts/{post['id']}").status_code == 200
            assert len(inside) == 2, "searches have two threads"
        finally:
            over.set()
    statuses = [search.result() for search in searches]
    assert set(statuses) == {200, 503}
    assert statuses.count(503) >= 24, "all but 16 are refused at once"


@pytest.mark.parametrize("query", FREQUENT)
@pytest.mark.parametrize("offset", [0, 1000])
def test_a_query_of_frequent_words_is_answered(anna: Person, query: str, offset: int) -> None:
    answer = anna.http.get("/api/search", params={"q": query, "limit": 50, "offset": offset})
    assert answer.status_code == 200


def _search(server: Server) -> int:
    with server.client() as client:
        return client.get("/api/search", params={"q": "tea"}).status_code


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
