"""The service works the same with unusual defaults of a database or a role."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from service import migrations
from service.engine.database.transaction import db
from service.flask_app import create_flask
from service.settings import Settings
from tests.kit import commands, proxies
from tests.kit.postgres_cluster import Cluster, cluster
from tests.kit.serving import PASSWORD, Server, serving
from tests.kit.smtp import until

DEFAULTS = {
    "datestyle": "'German, DMY'",
    "timezone": "'Pacific/Chatham'",
    "intervalstyle": "'sql_standard'",
    "bytea_output": "'escape'",
    "standard_conforming_strings": "off",
    "default_transaction_isolation": "'serializable'",
    # Through PgBouncer it holds for the BEGIN that sets it aside: no shorter, on a busy machine.
    "statement_timeout": "'250ms'",
    "lock_timeout": "'1ms'",
    "client_encoding": "'LATIN1'",
    "enable_seqscan": "off",
    "enable_indexscan": "off",
    "search_path": "nowhere",
    "array_nulls": "off",
    "extra_float_digits": "0",
    "transform_null_equals": "on",
}
WAITING_LONGER = """SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
    AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '500 ms'"""
TEXT = "Größe, Ελλάδα, 東京, \N{GRINNING FACE} \\ ' \" %s"


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Cluster]:
    with cluster() as server:
        yield server


@pytest.fixture(scope="module", params=["database", "role", "PgBouncer"])
def server(
    request: pytest.FixtureRequest, postgresql: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server on a database that has other defaults than everybody else's."""
    name = f"strange_{request.param.lower()}"
    url = address = postgresql.create(name)
    with ExitStack() as stack:
        if request.param == "PgBouncer":
            url = f"{stack.enter_context(proxies.pgbouncer(postgresql))}/{name}?pgbouncer=true"
        where = "ROLE postgres IN DATABASE" if request.param == "role" else "DATABASE"
        for setting, value in DEFAULTS.items():
            postgresql.execute(f"ALTER {where} {name} SET {setting} = {value}")
        _upgrade(address)
        folder = tmp_path_factory.mktemp(name)
        yield stack.enter_context(serving(folder, database_url=url, is_migrated=True))


def _upgrade(url: str) -> None:
    with create_flask(Settings(_env_file=None, database_url=url)).app_context():
        migrations.upgrade(db.engine)
        assert migrations.check(db.engine) == []
        db.engine.dispose()


def test_everything_works_with_unusual_database_defaults(server: Server) -> None:
    anna = server.sign_up()
    key = {"Idempotency-Key": "strange"}
    body = {"title": TEXT, "content": TEXT}
    made = [anna.http.post("/api/posts", json=body, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].json() == made[1].json()
    post = made[0].json()
    assert (post["title"], post["content"]) == (TEXT, TEXT)
    age = datetime.now(UTC) - datetime.fromisoformat(post["created_at"])
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert anna.http.get(f"/api/posts/{post['id']}").json() == post
    assert anna.http.get("/api/posts", params={"author_id": anna.id}).json() == [post]
    [hit] = anna.http.get("/api/search", params={"q": "ΕΛΛΑΔΑ"}).json()["results"]
    assert hit["post"] == post
    tag = {"If-Match": made[0].headers["etag"]}
    changed = anna.http.patch(f"/api/posts/{post['id']}", json={"title": "New"}, headers=tag)
    assert changed.status_code == 200, changed.text
    assert changed.json()["created_at"] == post["created_at"]
    assert anna.http.get("/auth/sessions").json()[0]["current"]
    assert len(anna.http.get("/auth/export").text.splitlines()) >= 4
    assert anna.http.get("/api/audit-events").json()
    refreshing = server.client(anna.tokens["refresh_token"])
    assert refreshing.post("/auth/refresh").status_code == 200
    answer = server.client().post("/auth/login", json={"email": anna.email, "password": "x" * 9})
    assert answer.status_code == 401
    with server.client() as anonymous:
        taken = {"email": anna.email, "password": PASSWORD}
        assert anonymous.post("/auth/register", json=taken).status_code == 409
    assert anna.http.delete(f"/api/users/{anna.id}").status_code == 204


def test_a_request_waits_longer_than_the_default_timeouts_of_the_database(
    server: Server, postgresql: Cluster
) -> None:
    anna = server.sign_up()
    post = anna.post()
    name = sa.make_url(server.settings.database_url).database or ""
    # The one that looks must not be in a transaction: that would see each session's first state.
    looking = psycopg.connect(postgresql.url(name), autocommit=True)
    with psycopg.connect(postgresql.url(name)) as other, looking:
        looking.execute("SET statement_timeout = 0")
        other.execute("SET LOCAL statement_timeout = 0; SET LOCAL search_path = public")
        other.execute("SELECT 1 FROM posts WHERE id = %s FOR UPDATE", [post["id"]])
        with ThreadPoolExecutor() as threads:
            change = threads.submit(
                anna.http.patch,
                f"/api/posts/{post['id']}",
                json={"title": "New"},
                headers={"If-Match": "*"},
            )
            until(lambda: looking.execute(WAITING_LONGER).fetchone() or change.done())
            assert not change.done(), change.result().text
            other.commit()
            assert change.result().status_code == 200, change.result().text


def test_a_read_only_database_answers_reads_and_gives_503_for_writes(
    postgresql: Cluster, tmp_path: Path
) -> None:
    url = postgresql.create("frozen")
    with serving(tmp_path, database_url=url) as server:
        anna = server.sign_up()
        anna.post()
    postgresql.execute("ALTER DATABASE frozen SET default_transaction_read_only = on")
    with serving(tmp_path, database_url=url, is_migrated=True) as server:
        with server.client(anna.tokens["access_token"]) as http:
            assert len(http.get("/api/posts").json()) == 1
            assert http.get("/auth/me").status_code == 200
            refused = http.post("/api/posts", json={"title": "x", "content": "x"})
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"


def test_environment_variables_of_libpq_change_no_answer(
    postgresql: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgresql.create("from_elsewhere")
    monkeypatch.setenv("PGDATESTYLE", "German, DMY")
    monkeypatch.setenv("PGTZ", "Asia/Kolkata")
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv("PGOPTIONS", "-c default_transaction_read_only=on -c statement_timeout=1")
    with serving(tmp_path, database_url=url) as server:
        anna = server.sign_up()
        assert anna.post(TEXT, TEXT)["title"] == TEXT
        assert anna.http.get("/auth/sessions").status_code == 200


@pytest.mark.parametrize(
    ("encoding", "locale"), [("SQL_ASCII", "C"), ("LATIN1", "C"), ("EUC_JP", "C")]
)
def test_another_encoding_than_utf_8_is_refused_in_one_line(
    encoding: str, locale: str, postgresql: Cluster, tmp_path: Path
) -> None:
    name = f"of_{encoding.lower()}"
    postgresql.execute(
        f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE '{locale}' TEMPLATE template0"
    )
    settings = {"DATABASE_URL": postgresql.url(name), "LOG_FORMAT": "json"}
    for command in (["db", "upgrade"], ["serve", "--port", "0"], ["demo", "--yes"]):
        ended = commands.run(tmp_path, *command, **settings)
        assert ended.returncode == 2, ended.stderr
        [line] = [row for row in ended.stderr.splitlines() if not row.startswith("Waiting")]
        assert encoding in line
        assert "UTF8" in line
    with psycopg.connect(settings["DATABASE_URL"]) as direct:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert direct.execute(tables).fetchone() == (0,)


@pytest.mark.parametrize(
    "collation", ["LOCALE 'C'", "LOCALE 'C.UTF-8'", "LOCALE_PROVIDER builtin LOCALE 'C.UTF-8'"]
)
def test_order_and_names_do_not_follow_the_collation(
    collation: str, postgresql: Cluster, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = f"sorted_{abs(hash(collation)) % 10**8}"
    postgresql.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' {collation} TEMPLATE template0")
    with serving(tmp_path, database_url=postgresql.url(name)) as server:
        anna = server.sign_up(username="a-b_c")
        for other in ("ab-c", "a_bc", "abc"):
            server.sign_up(username=other)
        ids = [anna.post(f"Number {number}")["id"] for number in range(7)]
        found: list[str] = []
        path = "/api/posts?limit=2"
        while path:
            answer = anna.http.get(path)
            found += [post["id"] for post in answer.json()]
            path = answer.links.get("next", {}).get("url", "")
        assert found == ids[::-1]
        with server.client() as anonymous:
            body = {"email": "else@example.com", "password": PASSWORD, "username": "a-b_c"}
            assert anonymous.post("/auth/register", json=body).json()["code"] == "username-taken"
            assert len(anonymous.get("/api/users?username=a_bc").json()) == 1
