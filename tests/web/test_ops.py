"""Probes, the published specification, the key set, and pages that load only our own files."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import httpx
import orjson
import pytest

from service.engine.spec.publication import Deployment
from service.engine.spec.specification import parsed
from service.specification import specification
from tests.kit.serving import Person, Server

HEALTH = ["/health/live", "/health/ready"]
DOCUMENTS = ["/openapi.yaml", "/openapi.json", "/openapi-3.1.json"]
PAGES = ["/", "/account", "/docs"]


def test_a_healthy_server_is_ready(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/health/ready")
    assert answer.status_code == 200
    checks = {"database": "ok", "schema": "ok", "limiter": "ok"}
    assert answer.json() == {"status": "ok", "checks": checks}
    assert anonymous.get("/health/live").json() == {"status": "ok"}


@pytest.mark.parametrize("path", HEALTH)
def test_a_probe_is_never_answered_from_a_cache(anonymous: httpx.Client, path: str) -> None:
    assert anonymous.get(path).headers["Cache-Control"] in {"no-cache", "no-store"}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_public_specification_is_served(anonymous: httpx.Client, path: str) -> None:
    answer = anonymous.get(path)
    assert answer.headers["Content-Type"] == f"application/{path.rpartition('.')[2]}"
    served = parsed(answer.content)
    # What is in it: tests/web/test_docs.py, tests/spec/test_openapi_31.py.
    as_json = specification.public_json_31 if "3.1" in path else specification.public_json
    of_tests = Deployment(limits=None, address="http://127.0.0.1:8000")
    assert served == orjson.loads(as_json(of_tests))
    assert served["paths"].keys() == specification.document["paths"].keys()


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_specification_is_revalidated_by_caches(anonymous: httpx.Client, path: str) -> None:
    answer = anonymous.get(path)
    assert answer.headers["Cache-Control"] == "public, no-cache, no-transform"
    known = anonymous.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")
    other = [anonymous.get(p).headers["ETag"] for p in DOCUMENTS if p != path]
    assert anonymous.get(path, headers={"If-None-Match": other[0]}).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_html_that_loads_only_our_own_files(anonymous: httpx.Client, path: str) -> None:
    answer = anonymous.get(path)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.text.startswith("<!doctype html>")
    policy = dict(
        directive.strip().split(" ", 1)
        for directive in answer.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "http" not in "".join(_references(answer.text))


@pytest.mark.parametrize("path", PAGES)
def test_every_reference_of_a_page_leads_somewhere(anonymous: httpx.Client, path: str) -> None:
    references = _references(anonymous.get(path).text)
    assert len(references) >= 4
    for reference in references:
        assert anonymous.get(urljoin(path, reference)).status_code == 200, reference


def _references(page: str) -> list[str]:
    return re.findall(r'(?:src|href)="([^"#]+)"', page)


LINKED = ["docs", "problems", "openapi.yaml", "openapi.json", "openapi-3.1.json", "health/ready"]


@pytest.mark.parametrize("linked", LINKED)
def test_the_home_page_links_to_the_rest(anonymous: httpx.Client, linked: str) -> None:
    assert linked in _references(anonymous.get("/").text)


@pytest.mark.parametrize(
    ("asset", "media_type"),
    [
        ("swagger-ui.css", "text/css; charset=utf-8"),
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("byline.css", "text/css; charset=utf-8"),
        ("init.js", "text/javascript; charset=utf-8"),
        ("favicon.svg", "image/svg+xml"),
    ],
)
def test_an_asset_is_served_and_kept(anonymous: httpx.Client, asset: str, media_type: str) -> None:
    answer = anonymous.get(f"/docs/{asset}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
    assert int(answer.headers["Content-Length"]) == len(answer.content) > 0
    assert "max-age" in answer.headers["Cache-Control"]
    known = anonymous.get(f"/docs/{asset}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["ETag"] == answer.headers["ETag"]


@pytest.mark.parametrize(
    "path",
    [
        "/docs/nothing.js",
        "/docs/../app.py",
        "/docs/%2e%2e/settings.py",
        "/docs//init.js",
        "/problems/nothing",
        "/problems/../app.py",
    ],
)
def test_there_is_nothing_else_beside_the_assets(server: Server, path: str) -> None:
    with server.client() as client:
        # As raw bytes, or the client would tidy the path up.
        url = httpx.URL(server.url).copy_with(raw_path=path.encode())
        answer = client.get(url)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("guessed", "there"),
    [("/docs/", "/docs"), ("/problems/", "/problems"), ("/favicon.ico", "/docs/favicon.svg")],
)
def test_an_address_that_people_guess_leads_to_what_they_look_for(
    anonymous: httpx.Client, guessed: str, there: str
) -> None:
    moved = anonymous.get(guessed)
    assert moved.status_code == 308
    assert not moved.headers["Location"].startswith("/")  # proxies may add a prefix
    found = anonymous.get(urljoin(f"{anonymous.base_url}{guessed}", moved.headers["Location"]))
    assert (found.status_code, found.url.path) == (200, there)


def test_the_key_set_is_public_and_cacheable(anna: Person, anonymous: httpx.Client) -> None:
    answer = anonymous.get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=600"
    assert answer.json()["keys"]
    for key in answer.json()["keys"]:
        assert {"d", "p", "q", "k"}.isdisjoint(key)
        assert {"kty", "kid", "alg", "use"} <= key.keys()


@pytest.mark.parametrize("path", [*HEALTH, *DOCUMENTS, *PAGES, "/metrics"])
def test_public_pages_ignore_the_token(server: Server, path: str) -> None:
    with server.client("nonsense") as client:
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", [*HEALTH, *DOCUMENTS, *PAGES, "/.well-known/jwks.json"])
@pytest.mark.parametrize(
    "query", ["utm_source=x", "fbclid=a&fbclid=b", "_=1", "", "&&", "%zz", "%ff", "a=" + "b" * 9000]
)
def test_an_added_query_changes_nothing(anonymous: httpx.Client, path: str, query: str) -> None:
    answer = anonymous.get(f"{path}?{query}")
    assert answer.status_code == 200
    if not path.startswith("/health"):
        assert answer.content == anonymous.get(path).content
    assert anonymous.head(f"{path}?{query}").status_code == 200


@pytest.mark.parametrize("path", ["/metrics", "/api/users"])
def test_other_operations_read_the_query(anonymous: httpx.Client, path: str) -> None:
    assert anonymous.get(f"{path}?utm_source=x").status_code == 400
