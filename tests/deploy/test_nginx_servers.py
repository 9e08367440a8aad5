"""Servers that go away behind nginx cost nobody an answer; in front of it there may be TLS."""

from __future__ import annotations

import itertools
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
import trustme

from tests.kit.ports import free_port
from tests.kit.proxy import CONFIGURATION, byline, nginx
from tests.kit.smtp import until

POST = {"title": "Notes on tea", "content": "Warm the pot first."}


@pytest.fixture
def pair(site, tmp_path):
    """An nginx in front of one of the site's servers and one of the test's own, the victim."""
    survivor = site.upstreams[0]
    settings = site.settings | {"JWT_KEYS_DIR": str(site.folder / "instance/keys")}
    with (
        byline(tmp_path, **settings, SHUTDOWN_DELAY="3") as victim,
        nginx(tmp_path, survivor.port, victim.port) as proxy,
    ):
        yield proxy, victim


@contextmanager
def asking(http, ask):
    """Asks from four threads until the block ends; the answers so far."""
    answers = []
    is_over = False

    def ask_on():
        while not is_over:
            answers.append(ask(http))

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask_on) for _ in range(4)]
        try:
            yield answers
        finally:
            is_over = True
    for each in asked:
        each.result()


def served_by(proxy, server):
    return [line for line in proxy.requests() if line["server"].endswith(f":{server.port}")]


def test_a_server_that_is_killed_costs_no_reader_its_answer(pair):
    proxy, victim = pair
    with (
        proxy.client() as http,
        asking(http, lambda http: http.get("/api/users?limit=1").status_code) as answers,
    ):
        until(lambda: len(served_by(proxy, victim)) > 20)
        victim.process.kill()
        victim.process.wait()
        many = len(answers) + 100
        until(lambda: len(answers) > many)

    assert set(answers) == {200}


def test_a_server_that_shuts_down_loses_no_answer_and_writes_nothing_twice(pair, reader):
    proxy, victim = pair
    numbers = itertools.count()

    def write(http):
        post = POST | {"title": f"Number {next(numbers)}"}
        return http.post("/api/posts", json=post).status_code

    with (
        proxy.client(headers=reader.http.headers) as http,
        asking(http, write) as answers,
    ):
        until(lambda: len(served_by(proxy, victim)) > 20)
        victim.process.terminate()
        until(lambda: victim.process.poll() is not None)
        many = len(answers) + 50
        until(lambda: len(answers) > many)
    titles = []
    page = "/api/posts?limit=100&author_id=" + reader.id
    while page:
        answer = reader.http.get(page)
        titles += [post["title"] for post in answer.json()]
        page = answer.links.get("next", {}).get("url")

    assert set(answers) == {201}
    numbered = [title for title in titles if title.startswith("Number")]
    assert len(numbered) == len(set(numbered)) == len(answers)


def test_enabling_tls_is_one_line_and_redirects_pages_only(site, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "tls.key")
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(tmp_path / "tls.crt", append=True)
    port = free_port()
    tls = (CONFIGURATION / "tls.conf").read_text()
    tls = tls.replace("listen 8443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    tls = tls.replace("/etc/nginx/tls/", f"{tmp_path}/")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with nginx(tmp_path, site.upstreams[0].port, more=tls) as proxy:
        safe = httpx.get(f"https://localhost:{port}/health/live", verify=trusting)
        plain = httpx.get(f"{proxy.url}/docs?a=b")
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{proxy.url}/api/users")

    assert safe.status_code == 200
    assert safe.headers["Strict-Transport-Security"]
    assert (plain.status_code, plain.headers["Location"]) == (308, "https://127.0.0.1/docs?a=b")
