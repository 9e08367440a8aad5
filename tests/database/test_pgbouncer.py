"""Byline through a real PgBouncer in transaction mode, as `pgbouncer=true` in DATABASE_URL says."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa

from service import migrations
from service.engine.database.transaction import connection, db
from service.engine.settings import BadConfiguration
from service.flask_app import create_flask
from service.settings import Settings
from tests.kit import proxies
from tests.kit.postgres_cluster import Cluster, cluster
from tests.kit.serving import Server, serving


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Cluster]:
    with cluster() as server:
        yield server


@pytest.fixture(scope="module")
def server(postgresql: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("byline")
    direct = Settings(_env_file=None, database_url=postgresql.create("byline"))
    with create_flask(direct).app_context():
        migrations.upgrade(db.engine)
        db.engine.dispose()
    with proxies.pgbouncer(postgresql, sessions=3) as address:
        url = f"{address}/byline?pgbouncer=true"
        with serving(folder, database_url=url, is_migrated=True) as own:
            yield own


def test_many_clients_share_few_sessions(server: Server, postgresql: Cluster) -> None:
    people = [server.sign_up() for _ in range(4)]

    def write(number: int) -> str:
        person = people[number % 4]
        post = person.post(f"Number {number}")
        changes = {"title": f"Changed {number}"}
        tag = {"If-Match": person.http.get(f"/api/posts/{post['id']}").headers["ETag"]}
        answer = person.http.patch(f"/api/posts/{post['id']}", json=changes, headers=tag)
        assert answer.status_code == 200, answer.text
        return answer.json()["title"]

    with ThreadPoolExecutor(16) as threads:
        written = set(threads.map(write, range(120)))
    with server.client() as client:
        found = {post["title"] for post in client.get("/api/posts?limit=100").json()}
        assert client.get("/api/search?q=changed").status_code == 200
    assert len(written) == 120
    assert found <= written
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'byline'"
    assert postgresql.execute(sessions)[0][0] <= 3


def test_the_same_key_at_the_same_time_makes_one_post(server: Server) -> None:
    anna = server.sign_up()
    body, key = {"title": "Once", "content": "Only."}, {"Idempotency-Key": "at-the-same-time"}

    def send(_: int) -> str | None:
        answer = anna.http.post("/api/posts", json=body, headers=key)
        assert answer.status_code in {201, 409}, answer.text
        return answer.json()["id"] if answer.status_code == 201 else None

    with ThreadPoolExecutor(10) as threads:
        made = set(threads.map(send, range(20))) - {None}
    assert len(made) == 1


def test_the_timeouts_hold_in_every_transaction_and_nothing_stays_in_a_session(
    server: Server, postgresql: Cluster
) -> None:
    shown = sa.text("SELECT current_setting('statement_timeout')")
    with server.flask.app_context():
        for writes in (True, False):
            with db.transaction(writes=writes):
                assert connection().scalar(shown) == "4s"
    address = server.settings.database_url.replace("+psycopg", "").partition("?")[0]
    with psycopg.connect(address, autocommit=True) as session:
        assert session.execute(str(shown)).fetchone() == ("0",)
        assert session.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_migrations_refuse_to_run_through_pgbouncer(server: Server) -> None:
    with (
        server.flask.app_context(),
        pytest.raises(BadConfiguration, match="names a PgBouncer"),
    ):
        migrations.upgrade(db.engine)
