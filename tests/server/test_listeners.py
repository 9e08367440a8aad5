"""One socket for IPv4 and IPv6, or one line that says why there is none, whatever the workers."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx
import pytest

from tests.kit.commands import run
from tests.kit.ports import free_port
from tests.kit.smtp import until
from tests.server.conftest import Start

CLIENT = "203.0.113.1"

each_number = pytest.mark.parametrize("workers", ["1", "2"])
needs_ipv6 = pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")


def clients(log: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return {line["request_id"]: line["client"] for line in lines if line["event"] == "request"}


@needs_ipv6
@each_number
@pytest.mark.parametrize(
    ("proxies", "expected"),
    [
        ("", {"127.0.0.1": "127.0.0.1", "[::1]": "::1"}),
        ("127.0.0.0/8", {"127.0.0.1": CLIENT, "[::1]": "::1"}),
        ("::1", {"127.0.0.1": "127.0.0.1", "[::1]": CLIENT}),
    ],
)
def test_one_socket_serves_ipv6_and_ipv4_and_shows_ipv4_addresses_as_such(
    start: Start, workers: str, proxies: str, expected: dict[str, str]
) -> None:
    byline = start(WORKERS=workers, HOST="::", LOG_LEVEL="INFO", TRUSTED_PROXIES=proxies)
    for host, client in expected.items():
        answer = httpx.get(
            f"http://{host}:{byline.port}/health/live", headers={"X-Forwarded-For": CLIENT}
        )
        assert answer.status_code == 200
        request_id = answer.headers["X-Request-Id"]
        until(lambda known=request_id: known in clients(byline.log))
        assert clients(byline.log)[request_id] == client


@needs_ipv6
@each_number
def test_a_name_is_listened_on_at_all_of_its_addresses(start: Start, workers: str) -> None:
    byline = start(WORKERS=workers, HOST="localhost")
    for *_, address in socket.getaddrinfo("localhost", byline.port, type=socket.SOCK_STREAM):
        with socket.create_connection(address[:2], timeout=60) as connection:
            connection.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 200"


@each_number
def test_a_port_in_use_is_one_clear_line(tmp_path: Path, workers: str) -> None:
    assert run(tmp_path, "db", "upgrade").returncode == 0
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        ended = run(tmp_path, "serve", PORT=str(port), WORKERS=workers)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == ("Error: PORT is in use: stop what listens there, or choose another\n")


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("no-such-host.invalid", "HOST is a name that has no address"),
        ("a..b", "HOST is a name that has no address"),
        ("192.0.2.1", "HOST is no address of this machine"),
        ("2001:db8::1", "HOST is no address of this machine"),
    ],
)
def test_an_impossible_host_is_one_clear_line(tmp_path: Path, host: str, line: str) -> None:
    ended = run(tmp_path, "serve", HOST=host)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"Error: {line}\n")
