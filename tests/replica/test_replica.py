"""Public reads come from the replica, but nobody misses there what he has just written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import sqlalchemy as sa

from service.engine.database import postgresql
from service.engine.database.statements import Prepared
from service.engine.jobs import replica
from service.models import post_documents
from tests.kit import valkey
from tests.kit.postgres_cluster import Cluster
from tests.kit.serving import Person, Server
from tests.kit.smtp import until
from tests.replica.conftest import Pair, came_from, counts, reader


@contextmanager
def lagging(standby: Cluster) -> Iterator[None]:
    """The standby receives what is written, and does not show it."""
    standby.pause_replay()
    try:
        yield
    finally:
        standby.resume_replay()


def titles(client: httpx.Client) -> list[str]:
    answer = client.get("/api/posts")
    assert answer.status_code == 200, answer.text
    return [post["title"] for post in answer.json()]


def changed(person: Person, **changes: str) -> bool:
    account = person.http.get("/auth/me")
    tag = {"If-Match": account.headers["ETag"]}
    answer = person.http.patch(f"/api/users/{person.id}", json=changes, headers=tag)
    return answer.status_code == 200


def at_home(server: Server) -> Person:
    """A user at an address of its own."""
    person = server.sign_up()
    person.http = reader(server, person.tokens["access_token"])
    return person


@pytest.fixture
def server(pair: Pair) -> Server:
    server = pair.serve()
    pair.follow(server)
    return server


def test_public_reads_come_from_the_replica(server: Server, pair: Pair) -> None:
    anna = at_home(server)
    post = anna.post("Copied")
    pair.follow(server)
    for path in (
        "/api/posts",
        f"/api/posts/{post['id']}",
        "/api/search?q=copied",
        "/api/users",
        f"/api/users/{anna.id}",
    ):
        assert came_from(server, reader(server), path) == "replica"


def test_a_client_reads_its_own_writes_although_the_replica_is_behind(
    server: Server, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "MAX_LAG_SECONDS", 60)
    anna, ben = at_home(server), at_home(server)
    with lagging(pair.standby):
        anna.post("Quite new")
        assert "Quite new" in titles(anna.http)
        assert "Quite new" in titles(reader(server, anna.tokens["access_token"]))
        assert "Quite new" not in titles(reader(server))
        assert changed(ben, bio="Newer")
        assert ben.http.get(f"/api/users/{ben.id}").json()["bio"] == "Newer"


def test_a_client_without_a_token_finds_its_own_change_too(server: Server, pair: Pair) -> None:
    client = reader(server)
    with lagging(pair.standby):
        known = {
            "email": "new@example.com",
            "password": "long enough for us",
            "username": "new-one",
        }
        user = client.post("/auth/register", json=known).json()
        assert client.get("/api/users").json()[0]["id"] == user["id"]


def test_a_new_post_can_be_read_by_everybody_at_once(server: Server, pair: Pair) -> None:
    anna = at_home(server)
    with lagging(pair.standby):
        post = anna.post()
        assert reader(server).get(f"/api/posts/{post['id']}").json() == post


def test_reads_with_a_token_never_come_from_the_replica(
    server: Server, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "READ_OWN_WRITES_SECONDS", 1)
    anna = at_home(server)
    with lagging(pair.standby):
        assert changed(anna, bio="Mine")
        elsewhere = reader(server, anna.tokens["access_token"])
        assert elsewhere.get("/auth/me").json()["bio"] == "Mine"
        assert anna.http.post("/auth/logout").status_code == 204
        assert elsewhere.get("/auth/me").status_code == 401


def test_a_replica_too_far_behind_is_not_read_until_it_has_caught_up(
    server: Server, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "MAX_LAG_SECONDS", 0.5)
    with lagging(pair.standby):
        at_home(server).post("Unknown there")
        until(lambda: came_from(server, reader(server)) == "primary")
        assert "Unknown there" in titles(reader(server))
    pair.follow(server)


def test_processes_with_one_store_share_who_has_just_written(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "MAX_LAG_SECONDS", 60)
    url = valkey.start()
    here, there = (pair.serve(rate_limit_storage_url=url) for _ in range(2))
    pair.follow(there)
    anna = at_home(here)
    with lagging(pair.standby):
        anna.post("Written here")
        again = reader(there, anna.tokens["access_token"])
        assert "Written here" in titles(again)
        assert "Written here" not in titles(reader(there))


def test_no_read_uses_the_replica_while_the_store_is_down(pair: Pair) -> None:
    own = valkey.launch()
    server = pair.serve(rate_limit_storage_url=own.connection_url)
    pair.follow(server)
    own.terminate()
    assert came_from(server, reader(server)) == "primary"


def test_no_request_fails_when_the_replica_dies_and_it_is_used_again_later(
    server: Server, pair: Pair
) -> None:
    title = at_home(server).post("Still here")["title"]
    pair.follow(server)
    pair.standby.kill()
    try:
        assert all(title in titles(reader(server)) for _ in range(20))
        assert came_from(server, reader(server)) == "primary"
    finally:
        pair.standby.start()
    pair.follow(server)


def test_a_hanging_replica_delays_one_read_briefly(
    server: Server, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql.Connection, "patience", 1.0)
    pair.standby.freeze()
    try:
        assert all(titles(reader(server)) is not None for _ in range(20))
        assert counts(server)["failed"] <= 1
        assert came_from(server, reader(server)) == "primary"
    finally:
        pair.standby.thaw()
    pair.follow(server)


def test_a_server_starts_without_its_replica(pair: Pair) -> None:
    pair.standby.kill()
    try:
        server = pair.serve()
        assert at_home(server).post("Alone")["title"] in titles(reader(server))
        assert httpx.get(f"{server.url}/health/ready").status_code == 200
    finally:
        pair.standby.start()
    pair.follow(server)


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
