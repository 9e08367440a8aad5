"""nginx passes on what the service and its clients say to each other, and believes no client."""

from __future__ import annotations

import re
import socket
from http.client import HTTPResponse
from urllib.parse import urlsplit

import httpx
import pytest

from tests.kit import exports, raw
from tests.kit.cookies import Browser
from tests.kit.proxy import CONFIGURATION, nginx
from tests.kit.smtp import until


def test_the_clients_address_reaches_the_log_and_no_header_can_change_it(site):
    with site.proxy.client("127.0.0.9") as http:
        for spoof in ("8.8.8.8", "127.0.0.1", "unknown, 10.0.0.1"):
            http.get("/api/users", headers={"X-Forwarded-For": spoof, "X-Request-Id": spoof[:7]})

    def addresses():
        lines = (line for server in site.upstreams for line in server.requests())
        return [line["client"] for line in lines if line["request_id"] in {"8.8.8.8", "127.0.0"}]

    until(lambda: len(addresses()) == 2)
    assert set(addresses()) == {"127.0.0.9"}


def test_behind_a_load_balancer_the_client_is_whom_that_names_and_nobody_else_can(site, tmp_path):
    balancer, client = "127.0.0.2", "203.0.113.9"
    offered = re.findall(r"^#(\w.*;)$", (CONFIGURATION / "listen.conf").read_text(), re.MULTILINE)
    chosen = "\n".join(offered).replace("10.0.0.0/8", balancer)
    ports = [server.port for server in site.upstreams]
    forwarded = {"X-Forwarded-For": f"8.8.8.8, {client}"}
    with (
        nginx(tmp_path, *ports, more=chosen) as proxy,
        proxy.client(balancer) as balanced,
        proxy.client("127.0.0.9") as direct,
    ):
        balanced.get("/api/users", headers=forwarded | {"X-Request-Id": "balanced"})
        direct.get("/api/users", headers=forwarded | {"X-Request-Id": "direct"})

    def clients():
        lines = (line for server in site.upstreams for line in server.requests())
        return {line["request_id"]: line["client"] for line in lines}

    until(lambda: {"balanced", "direct"} <= clients().keys())
    assert clients()["balanced"] == client
    assert clients()["direct"] == "127.0.0.9"


def test_a_chunked_body_arrives(site, reader):
    parts = (b'{"email": "nobody', b'@example.com"}')
    data = raw.chunked(*parts, target="/auth/password-resets")
    answer = raw.exchange(site.proxy.url, data, reader.tokens["access_token"])

    assert answer.status == 202, answer.body


def test_a_client_of_http_1_0_gets_its_answer_and_the_end_of_the_connection(site):
    address = urlsplit(site.proxy.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(b"GET /openapi.json HTTP/1.0\r\nHost: localhost\r\n\r\n")
        response = HTTPResponse(connection)
        response.begin()
        body = response.read()
        ended = connection.recv(1) == b""

    assert response.status == 200
    assert response.getheader("Transfer-Encoding") is None
    assert body == httpx.get(f"{site.proxy.url}/openapi.json").content
    assert ended


def upstream_ids(site) -> set[str]:
    return {line["request_id"] for server in site.upstreams for line in server.requests()}


def test_a_request_id_is_the_same_on_all_logs(site):
    kept = httpx.get(f"{site.proxy.url}/api/users?q=secret", headers={"X-Request-Id": "my.id_1-a"})
    made = httpx.get(f"{site.proxy.url}/api/users", headers={"X-Request-Id": "not one"})

    assert kept.headers["X-Request-Id"] == "my.id_1-a"
    id_ = made.headers["X-Request-Id"]
    assert id_ != "not one"
    for each in ("my.id_1-a", id_):
        until(
            lambda each=each: [line for line in site.proxy.requests() if line["request_id"] == each]
        )
        until(lambda each=each: each in upstream_ids(site))
    assert "secret" not in site.proxy.log.read_text()
    assert "?" not in site.proxy.log.read_text()


def test_an_export_is_produced_as_its_client_reads_it(site):
    slow, fast = site.server.sign_up(), site.server.sign_up()
    for person in (slow, fast):
        exports.give_events(person, 50_000)
    urls = [f"http://127.0.0.1:{server.port}" for server in site.upstreams]
    request = exports.request(slow.http, "Connection: close")
    with exports.connected(site.proxy.url, request, room=16 * 1024) as connection:
        start = connection.recv(1024)
        # Whole, and as long: what had been made ahead of the reader would be done by now.
        whole = fast.http.get(exports.PATH)
        making = sum(exports.in_flight(url) for url in urls)

    assert start.startswith(b"HTTP/1.1 200 OK")
    assert len(exports.lines(whole.content)) > 80
    assert making == 1


def test_the_docs_page_and_all_it_loads_are_there(site):
    with site.proxy.client() as http:
        page = http.get("/docs")
        found = [http.get(path) for path in ("/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js")]

    assert "Content-Security-Policy" in page.headers
    assert all(path in page.text for path in ("swagger-ui.css", "swagger-ui-bundle.js"))
    assert [answer.status_code for answer in found] == [200, 200]


@pytest.mark.parametrize(
    "path", ["/metrics", "//metrics", "/%6detrics", "/./metrics", "/x/../metrics"]
)
def test_the_metrics_are_not_for_the_public(site, path):
    answer = raw.exchange(site.proxy.url, raw.get(path))

    raw.check(answer)
    assert (answer.status, answer.code) == (404, "not-found")


def test_the_cookie_of_a_browser_passes_in_both_directions_and_into_no_log(site, reader):
    browser = Browser(site.server)
    browser.sign_in(reader)
    first = browser.token
    answer = browser.refresh(headers={"X-Request-Id": "with-a-cookie"})

    assert answer.status_code == 200
    until(lambda: any(line["request_id"] == "with-a-cookie" for line in site.proxy.requests()))
    logs = [site.proxy.log, *(server.log for server in site.upstreams)]
    for token in (first, browser.token):
        signature = token.rpartition(".")[2]
        assert not [log for log in logs if signature in log.read_text()]
