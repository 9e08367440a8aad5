"""The service answers only to the hosts in TRUSTED_HOSTS, but to probes with any host."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.engine.http import occasional
from tests.kit.raw import check, exchange, get, request
from tests.kit.serving import Server, serving

TRUSTED = (
    "byline.example.com,*.example.org,10.0.0.0/8,192.0.2.7,fd00::/8,[2001:db8::1],fqdn.example."
)
ALLOWED = [
    "byline.example.com",
    "Byline.Example.COM",
    "byline.example.com.",
    "byline.example.com:443",
    "byline.example.com.:443",
    "byline.example.com:",
    "fqdn.example",
    "a.example.org",
    "a.b.example.org:8000",
    "10.1.2.3",
    "10.255.255.255:8000",
    "192.0.2.7:80",
    "[fd00::1]",
    "[FD00:0:0::1]:8000",
    "[2001:db8::1]",
    "[2001:0DB8:0:0:0:0:0:1]:80",
    "[::ffff:10.1.2.3]:80",
]
REFUSED = [
    "",
    "example.com",
    "example.org",
    ".example.org",
    "a.example.org.evil.example",
    "evilexample.org",
    "byline.example.com.evil.example",
    "byline.example.com..",
    "byline.example.com:80:80",
    "byline.example.com:http",
    "byline.example.com:999999",
    "user@byline.example.com",
    "byline.example.com@evil.example",
    "byline.example.com, evil.example",
    "byline.example.com/x",
    "byline.example.com?x",
    "byline.example.com#x",
    "11.1.2.3",
    "10.1.2",
    "010.1.2.3",
    "0x0a.1.2.3",
    "167837955",
    "10.1.2.3.4",
    "192.0.2.8",
    "fd00::1",
    "[fe00::1]",
    "[fd00::1",
    "[10.1.2.3]",
    "[fd00::1%25eth0]",
    "[::ffff:11.1.2.3]",
    "[2001:db8::2]",
    "byline.example.com\xe9",
]
# As they come from what asks for /health: the last of kubelet, ALB, NLB, Consul and Traefik names
# the machine or nothing, and HAProxy's `option httpchk GET /health/ready` speaks HTTP/1.0.
PROBES = {
    "kubelet": ("GET", "1.1", ["Host: 172.16.5.9:8000", "User-Agent: kube-probe/1.34"]),
    "an AWS balancer": (
        "GET",
        "1.1",
        ["Host: 172.31.0.12", "Connection: close", "User-Agent: ELB-HealthChecker/2.0"],
    ),
    "an AWS network balancer": ("GET", "1.1", ["Host: [2600:1f18::7]:8000"]),
    "HAProxy": ("GET", "1.0", []),
    "HAProxy, asking with HEAD": ("HEAD", "1.0", []),
    "HAProxy with a version": ("GET", "1.1", ["Host:"]),
    "Traefik": ("GET", "1.1", ["Host: byline_api.internal:8000", "Accept-Encoding: gzip"]),
    "Consul": ("GET", "1.1", ["Host: byline.service.consul", "User-Agent: Consul Health Check"]),
    "nginx, naming an upstream": ("GET", "1.0", ["Host: byline_upstream", "Connection: close"]),
    "a client without a Host": ("GET", "1.1", []),
}


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("hosts"), trusted_hosts=TRUSTED) as running:
        yield running


@pytest.mark.parametrize("host", ALLOWED)
def test_a_trusted_host_is_answered_for(named: Server, host: str) -> None:
    for _ in range(2):  # the second time it is known
        assert exchange(named.url, get("/openapi.json", host=host)).status == 200


@pytest.mark.parametrize("host", REFUSED)
def test_any_other_host_is_refused(named: Server, host: str) -> None:
    header = b"Host: " + host.encode("latin-1")
    answer = exchange(named.url, get("/openapi.json", header, host=None))
    check(answer)
    assert (answer.status, answer.code) == (400, "host-not-allowed")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_is_answered_whatever_the_host(named: Server, path: str, probe: str) -> None:
    method, version, headers = PROBES[probe]
    data = "\r\n".join([f"{method} {path} HTTP/{version}", *headers, "", ""])
    assert exchange(named.url, data.encode()).status == 200


@pytest.mark.parametrize("path", ["/", "/api/users", "/metrics", "/health", "/health/live/", "/x"])
def test_only_probes_answer_any_host(named: Server, path: str) -> None:
    for host in ("172.16.5.9:8000", None):
        answer = exchange(named.url, get(path, host=host))
        assert (answer.status, answer.code) == (400, "host-not-allowed")


def test_a_probe_with_two_hosts_is_refused(named: Server) -> None:
    answer = exchange(named.url, get("/health/live", "Host: other", host="byline.example.com"))
    assert (answer.status, answer.code) == (400, "bad-request")


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://byline.example.com/openapi.json", "evil.example", 200),
        ("HTTP://byline.example.com:80/openapi.json?x=1#y", "evil.example", None),
        ("https://a.example.org/openapi.json", "byline.example.com", 200),
        ("http://evil.example/openapi.json", "byline.example.com", 400),
        ("http://user@byline.example.com/openapi.json", "byline.example.com", 400),
        ("http://byline.example.com@evil.example/openapi.json", "byline.example.com", 400),
        ("http://evil.example/health/live", "evil.example", 200),
        ("http://byline.example.com/openapi.json", None, 400),
        ("ftp://byline.example.com/openapi.json", "byline.example.com", None),
    ],
)
def test_the_host_of_an_absolute_target_is_checked(
    named: Server, target: str, host: str | None, status: int | None
) -> None:
    answer = exchange(named.url, request("GET", target, host=host))
    check(answer)
    if status:
        assert answer.status == status


def test_a_refused_host_is_logged_once_with_its_setting(
    serve: Callable[..., Server], caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    server = serve()
    with caplog.at_level(logging.WARNING, "byline"):
        for number in range(5):
            exchange(server.url, get("/", host=f"{number}.example'"))
        exchange(server.url, get("/health/live", host="probe.example"))
        monkeypatch.setattr(occasional, "INTERVAL_SECONDS", 0)
        exchange(server.url, get("/", host="again.example"))
    lines = [line for line in caplog.messages if "TRUSTED_HOSTS" in line]
    assert lines == ["Refused a host that TRUSTED_HOSTS does not name."] * 2
