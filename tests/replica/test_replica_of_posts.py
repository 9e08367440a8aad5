"""Posts and searches from the replica."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from service.engine.database.statements import Prepared
from service.models import post_documents
from tests.kit.serving import Server
from tests.replica.conftest import Pair, came_from, counts, reader


@pytest.fixture
def server(pair: Pair) -> Server:
    server = pair.serve()
    pair.follow(server)
    return server


def test_posts_and_searches_come_from_the_replica(server: Server, pair: Pair) -> None:
    post = server.sign_up().post("Copied")
    pair.follow(server)
    for path in ("/api/posts", f"/api/posts/{post['id']}", "/api/search?q=copied"):
        assert came_from(server, reader(server), path) == "replica"


def test_a_post_can_be_read_by_everybody_before_it_is_copied(server: Server, pair: Pair) -> None:
    anna = server.sign_up()
    pair.standby.pause_replay()
    try:
        post = anna.post()
        assert reader(server).get(f"/api/posts/{post['id']}").json() == post
    finally:
        pair.standby.resume_replay()


def test_a_search_that_is_too_slow_on_the_replica_is_not_made_twice(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = "SELECT count(*) FROM generate_series(1, 9999999) a, generate_series(1, 9999999) b"
    monkeypatch.setattr(post_documents, "_tsvector_search", Prepared(sa.text(endless)))
    monkeypatch.setattr(post_documents, "SEARCH_TIMEOUT_SECONDS", 0.2)
    before = counts(server)
    answer = reader(server).get("/api/search", params={"q": "tea"})
    assert answer.status_code == 503
    assert counts(server) == before
    assert came_from(server, reader(server)) == "replica"
