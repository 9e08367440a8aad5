"""The metrics count what happens, contain nothing personal, and never wait for the database."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from service.engine.observe import catalogue
from service.measures import MEASURES
from service.specification import specification
from tests.kit import postgres, valkey
from tests.kit.prometheus import Samples, promtool, scrape
from tests.kit.serving import PASSWORD, Server
from tests.kit.smtp import until

Serve = Callable[..., Server]
NAMES = {f"byline_{name}" for name in catalogue.MEASURES | MEASURES} | catalogue.PROCESS.keys()
# A name where it is counted, or the key of a reading.
COUNTED = re.compile(
    r'(?:metrics(?:\(\))?\.(?:count|expect|gauge)\(|count_on_commit\(|slot\(\()\s*"(\w+)"'
    r'|[(\[]"(\w+)",[^()]*[)\]](?:: | = )'
)
SERVICE = Path(__file__).parents[2] / "service"


def sign_in(server: Server, email: str, password: str) -> int:
    body = {"email": email, "password": password}
    return httpx.post(f"{server.url}/auth/login", json=body).status_code


def by_outcome(samples: Samples, name: str) -> dict[str, float]:
    return {labels[-1]: value for (found, *labels), value in samples.items() if found == name}


def test_every_metric_in_the_code_is_in_the_catalogue() -> None:
    sources = [
        path.read_text()
        for path in SERVICE.rglob("*.py")
        if path.name not in {"catalogue.py", "measures.py"}
    ]
    found = COUNTED.findall("".join(sources))
    named = {f"byline_{counted or read}" for counted, read in found} - {"byline_process_threads"}
    assert {"byline_logins_total", "byline_processes", "byline_database_connections"} < named
    assert named <= NAMES


def test_a_new_server_exposes_every_metric_in_valid_prometheus_text(serve: Serve) -> None:
    text = httpx.get(f"{serve().url}/metrics").text
    assert set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE)) == NAMES
    promtool("check", "metrics", stdin=text)


def test_every_counter_starts_at_zero(serve: Serve) -> None:
    samples = scrape(serve().url)
    for policy in specification.policies:
        for outcome in ("allowed", "refused"):
            assert samples["byline_limiter_decisions_total", outcome, policy] == 0
    for name, outcomes in {
        "byline_logins_total": 4,
        "byline_mails_total": 3,
        "byline_replica_reads_total": 3,
    }.items():
        assert set(by_outcome(samples, name).values()) == {0}
        assert len(by_outcome(samples, name)) == outcomes


def test_logins_are_counted_by_outcome(serve: Serve) -> None:
    server = serve(rate_limit_enabled=True, rate_limits="account=3 per day")
    anna = server.sign_up()
    assert [sign_in(server, anna.email, "wrong") for _ in range(4)] == [401] * 3 + [429]
    assert sign_in(server, "nobody@example.com", "wrong") == 401
    samples = scrape(server.url)
    outcomes = by_outcome(samples, "byline_logins_total")
    assert outcomes == {"succeeded": 1, "failed": 4, "refused": 1, "challenged": 0}
    assert samples["byline_limiter_decisions_total", "refused", "account"] == 1
    # Three that failed, the one before them that did not, and the one of nobody.
    assert samples["byline_limiter_decisions_total", "allowed", "account"] == 5


def test_the_metrics_count_allowed_and_refused_requests_per_limit(serve: Serve) -> None:
    server = serve(rate_limit_enabled=True, rate_limits="register=2 per day")
    for _ in range(5):
        httpx.post(f"{server.url}/auth/register", json={})
    samples = scrape(server.url)
    assert samples["byline_limiter_decisions_total", "allowed", "register"] == 2
    assert samples["byline_limiter_decisions_total", "refused", "register"] == 3
    assert samples["byline_limiter_decisions_total", "allowed", "client"] == 5


def test_readiness_is_degraded_while_the_store_is_down(serve: Serve) -> None:
    store = valkey.launch()
    port = store.port
    server = serve(rate_limit_enabled=True, rate_limit_storage_url=store.connection_url)

    def fallback() -> float:
        httpx.get(f"{server.url}/api/users")
        return scrape(server.url)["byline_limiter_fallback",]

    assert fallback() == 0
    store.terminate()
    until(lambda: fallback() == 1)
    store = valkey.launch(port)
    try:
        until(lambda: fallback() == 0)
    finally:
        store.terminate()


def test_a_reused_refresh_token_is_counted(serve: Serve) -> None:
    server = serve()
    anna = server.sign_up()
    tokens = anna.tokens["refresh_token"]
    with server.client(tokens) as client:
        fresh = client.post("/auth/refresh").json()["refresh_token"]
    with server.client(fresh) as client:
        assert client.post("/auth/refresh").status_code == 200
    with server.client(tokens) as client:
        assert client.post("/auth/refresh").status_code == 401
        assert client.post("/auth/refresh").status_code == 401
    assert scrape(server.url)["byline_token_reuses_total",] == 1


def test_pools_and_the_process_are_measured(serve: Serve) -> None:
    server = serve(worker_threads=3, hash_threads=1)
    server.sign_up()
    # An answer is handed back just before its thread has nothing more to do.
    until(lambda: scrape(server.url)["byline_pool_threads_busy", "hashing"] == 0)
    samples = scrape(server.url)
    assert samples["byline_pool_capacity", "requests"] == 512
    assert samples["byline_pool_threads", "hashing"] == 1
    assert samples["byline_pool_threads_busy", "metrics"] == 1  # which is writing this
    assert samples["byline_database_connections",] == 8
    assert samples["byline_processes",] == 1
    assert samples["process_threads",] > 3
    assert samples["process_resident_memory_bytes",] > 20e6
    assert 0 < samples["process_open_fds",] < samples["process_max_fds",]
    assert scrape(server.url)["process_cpu_seconds_total",] >= samples["process_cpu_seconds_total",]


def test_requests_refused_because_no_thread_is_free_are_counted(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, hashing_in_full: None
) -> None:
    monkeypatch.setattr("service.application.MAX_HASHES_IN_FLIGHT", 1)
    server = serve(hash_threads=1)
    anna = server.sign_up()
    with ThreadPoolExecutor(8) as threads:
        logins = [threads.submit(sign_in, server, anna.email, PASSWORD) for _ in range(16)]
        statuses = [login.result() for login in logins]
    assert set(statuses) == {200, 503}
    refusals = scrape(server.url)["byline_pool_refusals_total", "hashing"]
    assert refusals == statuses.count(503)


def test_the_outbox_shows_how_much_waits_and_for_how_long(serve: Serve) -> None:
    server = serve(smtp_url="smtp://127.0.0.1:1", mail_from="byline@example.com")
    for _ in range(3):
        server.sign_up()

    def deferred() -> bool:
        return scrape(server.url)["byline_mails_total", "deferred"] == 3

    until(deferred)
    samples = scrape(server.url)
    assert samples["byline_mails_waiting",] == 3
    assert 0 < samples["byline_mails_oldest_seconds",] < 60
    server.execute(sa.text("DELETE FROM mails"))
    samples = scrape(server.url)
    assert samples["byline_mails_waiting",] == samples["byline_mails_oldest_seconds",] == 0


def test_a_scrape_does_not_wait_for_a_database_that_hangs(serve: Serve) -> None:
    url = postgres.start().replace("postgresql://", "postgresql+psycopg://", 1)
    server = serve(database_url=url, worker_threads=2)
    assert ("byline_mails_waiting",) in scrape(server.url)
    engine = sa.create_engine(server.settings.database_url)
    with engine.begin() as connection, ThreadPoolExecutor(4) as threads:
        connection.execute(sa.text("LOCK TABLE mails, users IN ACCESS EXCLUSIVE MODE"))
        stuck = [threads.submit(httpx.get, f"{server.url}/api/users", timeout=60) for _ in range(4)]
        until(lambda: scrape(server.url)["byline_pool_threads_busy", "requests"] == 2)
        began = time.monotonic()
        samples = scrape(server.url)
        assert time.monotonic() - began < 2
        assert not any(request.done() for request in stuck)
        assert ("byline_mails_waiting",) not in samples
        assert samples["byline_database_connections_in_use",] >= 2
        connection.rollback()
    engine.dispose()
    assert {request.result().status_code for request in stuck} == {200}
    until(lambda: ("byline_mails_waiting",) in scrape(server.url))


def test_a_scrape_succeeds_while_the_database_refuses_connections(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    server.execute(sa.text("DROP TABLE mails"))
    samples = scrape(server.url)
    assert ("byline_mails_waiting",) not in samples
    assert samples["byline_requests_in_flight",] == 1


def test_metrics_of_logins_contain_no_user(serve: Serve) -> None:
    server = serve(rate_limit_enabled=True)
    anna = server.sign_up()
    sign_in(server, anna.email, PASSWORD)
    text = httpx.get(f"{server.url}/metrics").text
    for personal in (anna.email, anna.id, anna.username, "127.0.0.1"):
        assert personal not in text
