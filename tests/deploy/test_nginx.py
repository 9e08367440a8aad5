"""nginx passes on what the service and its clients say to each other, and believes no client."""

from __future__ import annotations

import socket
from http.client import HTTPResponse
from random import sample
from urllib.parse import urlsplit

import httpx
import pytest

from tests.kit import exports, raw
from tests.kit.proxy import nginx
from tests.kit.smtp import until

LONG = "One more sentence about tea. " * 100


def test_the_clients_address_reaches_the_log_and_no_header_can_change_it(site):
    with site.proxy.client("127.0.0.9") as http:
        for spoof in ("8.8.8.8", "127.0.0.1", "unknown, 10.0.0.1"):
            http.get("/api/posts", headers={"X-Forwarded-For": spoof, "X-Request-Id": spoof[:7]})

    def addresses():
        lines = (line for server in site.upstreams for line in server.requests())
        return [line["client"] for line in lines if line["request_id"] in {"8.8.8.8", "127.0.0"}]

    until(lambda: len(addresses()) == 2)
    assert set(addresses()) == {"127.0.0.9"}


def test_the_limiter_counts_clients_by_their_address_whatever_they_claim(site):
    def searches(address):
        with site.proxy.client(address) as http:
            for number in range(11):
                claim = {"X-Forwarded-For": f"10.1.1.{number}", "Forwarded": f"for=10.2.2.{number}"}
                yield http.get("/api/search?q=tea", headers=claim).status_code

    # A store that others use as well may know the usual ones.
    first, other = (
        f"127.{number % 256}.{number >> 8}.1" for number in sample(range(2560, 65536), 2)
    )
    assert list(searches(first)) == [200] * 10 + [429]
    assert next(searches(other)) == 200


def test_a_tag_that_gzip_has_made_weak_is_good_for_writing(site, reader):
    port = site.upstreams[0].port
    headers = {"Accept-Encoding": "gzip", **reader.http.headers}
    with (
        nginx(site.folder, port, more="gzip on;\n") as proxy,
        proxy.client(headers=headers) as http,
    ):
        made = http.post("/api/posts", json={"title": "Long", "content": LONG})
        post = made.headers["Location"]
        for number in range(3):
            read = http.get(post)
            assert read.headers["Content-Encoding"] == "gzip"
            tag = read.headers["ETag"]
            assert tag.startswith("W/"), "nginx has changed it"
            assert http.get(post, headers={"If-None-Match": tag}).status_code == 304
            change = {"title": f"Changed {number}"}
            written = http.patch(post, json=change, headers={"If-Match": tag})
            assert (written.status_code, written.json()["title"]) == (200, change["title"])
            assert http.patch(post, json=change, headers={"If-Match": tag}).status_code == 412
        assert http.delete(post, headers={"If-Match": http.get(post).headers["ETag"]}).is_success


def test_an_etag_that_came_through_is_good_for_writing(site, reader):
    with site.proxy.client(headers={"Accept-Encoding": "gzip", **reader.http.headers}) as http:
        made = http.post("/api/posts", json={"title": "Long", "content": LONG})
        post = made.headers["Location"]
        read = http.get(post)
        fresh = http.get(post, headers={"If-None-Match": read.headers["ETag"]})
        change = {"title": "Changed"}
        written = http.patch(post, json=change, headers={"If-Match": made.headers["ETag"]})
        stale = http.patch(post, json=change, headers={"If-Match": read.headers["ETag"]})

    assert made.headers["ETag"] == read.headers["ETag"]
    assert read.headers["ETag"].startswith('"')
    assert (fresh.status_code, fresh.content) == (304, b"")
    assert fresh.headers["ETag"] == read.headers["ETag"]
    assert (written.status_code, stale.status_code) == (200, 412)


def test_lists_and_the_documentation_are_compressed(site, reader):
    reader.post(content=LONG)
    with site.proxy.client(headers={"Accept-Encoding": "gzip"}) as http:
        paths = ["/api/posts", "/docs/swagger-ui-bundle.js", "/openapi.json", "/openapi.yaml"]
        found = {path: http.get(path) for path in paths}
        again = http.get(
            "/openapi.yaml", headers={"If-None-Match": found[paths[-1]].headers["ETag"]}
        )

    assert {path: a.headers.get("Content-Encoding") for path, a in found.items()} == dict.fromkeys(
        paths, "gzip"
    )
    assert all("Accept-Encoding" in answer.headers["Vary"] for answer in found.values())
    assert again.status_code == 304


def test_paging_retries_and_head_pass_unchanged(site, reader):
    body = {"title": "Once", "content": LONG}
    key = {"Idempotency-Key": "from-afar"}
    first, second = (reader.http.post("/api/posts", json=body, headers=key) for _ in range(2))
    reader.post()
    page = reader.http.get(f"/api/posts?limit=1&author_id={reader.id}")
    head = reader.http.head(first.headers["Location"])
    get = reader.http.get(first.headers["Location"])

    assert second.json() == first.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert page.links["next"]["url"].startswith("/api/posts?")
    assert reader.http.get(page.links["next"]["url"]).json() == [first.json()]
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(get.content)))
    assert head.headers["ETag"] == get.headers["ETag"]


def test_a_chunked_body_arrives(site, reader):
    answer = raw.exchange(
        site.proxy.url,
        raw.chunked(raw.BODY[:10], raw.BODY[10:]),
        reader.tokens["access_token"],
    )

    assert answer.status == 201, answer.body


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


def test_a_request_id_is_the_same_on_all_logs(site):
    kept = httpx.get(f"{site.proxy.url}/api/posts?q=secret", headers={"X-Request-Id": "my.id_1-a"})
    made = httpx.get(f"{site.proxy.url}/api/posts", headers={"X-Request-Id": "not one"})

    assert kept.headers["X-Request-Id"] == "my.id_1-a"
    id_ = made.headers["X-Request-Id"]
    assert id_ != "not one"
    for each in ("my.id_1-a", id_):
        until(
            lambda each=each: [line for line in site.proxy.requests() if line["request_id"] == each]
        )
        lines = [line for server in site.upstreams for line in server.requests()]
        assert [line for line in lines if line["request_id"] == each]
    assert "secret" not in site.proxy.log.read_text()
    assert "?" not in site.proxy.log.read_text()


def test_an_export_is_produced_as_its_client_reads_it(site):
    slow, fast = site.server.sign_up(), site.server.sign_up()
    for person in (slow, fast):
        exports.give_posts(person, ["茶" * 100_000] * 80)
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
