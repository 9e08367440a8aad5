"""PostgreSQL ends a session in the middle of a request, for reasons of its own."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa

from service.engine.database.transaction import connection, db
from service.engine.problems import NotFound
from tests.kit.postgres_cluster import Cluster, cluster
from tests.kit.serving import Server, serving
from tests.kit.smtp import until


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture(scope="module")
def server(own: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("byline"), database_url=own.create("byline")) as running:
        yield running


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_change_that_takes_longer_than_the_role_allows_a_transaction_is_a_503(
    server: Server, own: Cluster, method: str
) -> None:
    anna = server.sign_up()
    path = f"/api/posts/{anna.post()['id']}"
    own.execute("ALTER DATABASE byline SET transaction_timeout = '400ms'")
    try:
        _end_sessions(own)
        with psycopg.connect(own.url("byline"), options="-c transaction_timeout=0") as other:
            other.execute("SELECT FROM posts FOR UPDATE")
            changes = {"json": {"title": "Too late"}} if method == "PATCH" else {}
            answer = anna.http.request(method, path, headers={"If-Match": "*"}, **changes)
    finally:
        own.execute("ALTER DATABASE byline RESET transaction_timeout")
        _end_sessions(own)
    assert answer.status_code == 503, answer.text
    assert answer.headers["Retry-After"]
    assert server.client().get(path).json()["title"] != "Too late"


def test_a_refusal_stays_one_if_the_session_has_ended_before_it_is_rolled_back(
    server: Server, own: Cluster
) -> None:
    with server.flask.app_context(), pytest.raises(NotFound):
        _refuse_after_the_end(own)
    assert server.client().get("/api/users").status_code == 200


def _refuse_after_the_end(own: Cluster) -> None:
    with db.transaction():
        pid = connection().execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
        own.execute(f"SELECT pg_terminate_backend({pid})")
        until(lambda: own.execute(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}") == [])
        raise NotFound


def _end_sessions(own: Cluster) -> None:
    """End those of the server, so that new ones get the settings of the database."""
    pids = own.execute("SELECT array_agg(pid) FROM pg_stat_activity WHERE datname = 'byline'")[0][0]
    each = f"FROM pg_stat_activity WHERE pid = ANY(ARRAY{pids})"
    own.execute(f"SELECT pg_terminate_backend(pid) {each}")
    until(lambda: own.execute(f"SELECT 1 {each}") == [])
