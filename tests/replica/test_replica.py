"""Public reads come from the replica, but nobody misses there what he has just written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from service.engine.database import postgresql
from service.engine.limits import store
from service.engine.work import replica
from tests.kit import valkey
from tests.kit.middlebox import Middlebox
from tests.kit.personal_tokens import give
from tests.kit.postgres_cluster import Cluster
from tests.kit.serving import Person, Server
from tests.kit.smtp import until
from tests.replica.conftest import Pair, came_from, counts, reader


def lag(server: Server) -> float:
    """How far the replica is behind, for all that the server knows."""
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    [line] = [line for line in lines if line.startswith("byline_replica_lag_seconds ")]
    return float(line.split()[1])


@contextmanager
def lagging(standby: Cluster) -> Iterator[None]:
    """The standby receives what is written, and does not show it."""
    standby.pause_replay()
    try:
        yield
    finally:
        standby.resume_replay()


def bios(client: httpx.Client) -> list[str]:
    answer = client.get("/api/users")
    assert answer.status_code == 200, answer.text
    return [user["bio"] for user in answer.json()]


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
    pair.follow(server)
    for path in ("/api/users", f"/api/users/{anna.id}"):
        assert came_from(server, reader(server), path) == "replica"


def test_a_client_reads_its_own_writes_although_the_replica_is_behind(
    server: Server, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "MAX_LAG_SECONDS", 60)
    anna, ben = at_home(server), at_home(server)
    with lagging(pair.standby):
        assert changed(anna, bio="Quite new")
        assert "Quite new" in bios(anna.http)
        assert "Quite new" in bios(reader(server, anna.tokens["access_token"]))
        assert "Quite new" not in bios(reader(server))
        assert changed(ben, bio="Newer")
        assert ben.http.get(f"/api/users/{ben.id}").json()["bio"] == "Newer"


def test_a_user_reads_what_a_program_has_written_with_a_personal_token(
    server: Server, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "MAX_LAG_SECONDS", 60)
    anna = server.sign_up()
    program = reader(server, give(anna))
    pair.follow(server)
    with lagging(pair.standby):
        path = f"/api/users/{anna.id}"
        answer = program.patch(path, json={"bio": "By a program"}, headers={"If-Match": "*"})
        assert answer.status_code == 200, answer.text
        assert "By a program" in bios(program)
        assert "By a program" in bios(reader(server, anna.tokens["access_token"]))


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


def test_a_new_user_can_be_read_by_everybody_at_once(server: Server, pair: Pair) -> None:
    with lagging(pair.standby):
        new = server.sign_up()
        assert reader(server).get(f"/api/users/{new.id}").json()["username"] == new.username


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
        assert changed(at_home(server), bio="Unknown there")
        until(lambda: came_from(server, reader(server)) == "primary")
        assert "Unknown there" in bios(reader(server))
    pair.follow(server)


def test_a_server_that_starts_does_not_read_a_replica_that_is_behind(
    server: Server, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, have_looked = replica.Replica._look, set[replica.Replica]()

    def noted(self: replica.Replica) -> None:
        look(self)
        have_looked.add(self)

    with lagging(pair.standby):
        assert changed(at_home(server), bio="Unknown there")
        monkeypatch.setattr(replica.Replica, "_look", noted)
        other = pair.serve()
        until(lambda: len(have_looked) == 2)
        assert came_from(other, reader(other)) == "primary"
        assert "Unknown there" in bios(reader(other))
        assert lag(other) == math.inf
    pair.follow(other)
    assert lag(other) < replica.MAX_LAG_SECONDS


def test_processes_with_one_store_share_who_has_just_written(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "MAX_LAG_SECONDS", 60)
    url = valkey.start()
    here, there = (pair.serve(rate_limit_storage_url=url) for _ in range(2))
    pair.follow(there)
    anna = at_home(here)
    with lagging(pair.standby):
        assert changed(anna, bio="Written here")
        again = reader(there, anna.tokens["access_token"])
        assert "Written here" in bios(again)
        assert "Written here" not in bios(reader(there))


def test_no_read_uses_the_replica_while_the_store_is_down(pair: Pair) -> None:
    own = valkey.launch()
    server = pair.serve(rate_limit_storage_url=own.connection_url)
    pair.follow(server)
    own.terminate()
    assert came_from(server, reader(server)) == "primary"


def test_a_client_reads_what_it_wrote_while_the_store_was_down(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "MAX_LAG_SECONDS", 60)
    monkeypatch.setattr(store, "RETRY_SECONDS", 0.1)
    own = valkey.launch()
    server, port = pair.serve(rate_limit_storage_url=own.connection_url), own.port
    pair.follow(server)
    anna = at_home(server)
    with lagging(pair.standby):
        own.terminate()
        assert changed(anna, bio="Written without a store")
        again = valkey.launch(port)
        until(lambda: not server.flask.extensions["limits"].is_degraded())
        assert "Written without a store" in bios(anna.http)
        again.terminate()


def test_a_client_reads_what_it_wrote_while_the_store_was_being_connected(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "MAX_LAG_SECONDS", 60)
    with Middlebox(urlsplit(valkey.start()).port or 0) as box:
        server = pair.serve(rate_limit_storage_url=f"redis://127.0.0.1:{box.port}")
        pair.follow(server)
        anna = at_home(server)
        with lagging(pair.standby):
            box.delay = 0.15
            box.cut()
            assert changed(anna, bio="Written meanwhile")
            box.delay = 0
            until(lambda: not server.flask.extensions["limits"].is_degraded())
            assert "Written meanwhile" in bios(anna.http)


def test_no_request_fails_when_the_replica_dies_and_it_is_used_again_later(
    server: Server, pair: Pair
) -> None:
    assert changed(at_home(server), bio="Still here")
    pair.follow(server)
    pair.standby.kill()
    try:
        assert all("Still here" in bios(reader(server)) for _ in range(20))
        assert came_from(server, reader(server)) == "primary"
    finally:
        pair.standby.start()
    pair.follow(server)


def test_no_read_fails_when_a_migration_changes_the_type_of_a_column(
    server: Server, pair: Pair
) -> None:
    assert changed(at_home(server), bio="Of another type")
    pair.follow(server)
    assert all("Of another type" in bios(reader(server)) for _ in range(3))
    pair.primary.execute("ALTER TABLE users ALTER bio TYPE varchar(1000)", pair.name)
    until(lambda: pair.standby.has_caught_up(pair.primary))
    assert all("Of another type" in bios(reader(server)) for _ in range(10))
    pair.follow(server)


def test_a_hanging_replica_delays_one_read_briefly(
    server: Server, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql.Connection, "patience", 1.0)
    pair.standby.freeze()
    try:
        assert all(bios(reader(server)) is not None for _ in range(20))
        assert counts(server)["failed"] <= 1
        assert came_from(server, reader(server)) == "primary"
    finally:
        pair.standby.thaw()
    pair.follow(server)


def test_a_server_starts_without_its_replica(pair: Pair) -> None:
    pair.standby.kill()
    try:
        server = pair.serve()
        assert changed(at_home(server), bio="Alone")
        assert "Alone" in bios(reader(server))
        assert httpx.get(f"{server.url}/health/ready").status_code == 200
    finally:
        pair.standby.start()
    pair.follow(server)
