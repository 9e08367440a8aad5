"""Cross-origin requests: browsers allow the configured origins, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.kit.planning import Owner, Planner, planning

ORIGIN = "https://app.example.com"
OTHERS = [
    "https://evil.example",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com.evil.example",
    "https://sub.app.example.com",
    "null",
    "",
    "*",
]
PREFLIGHT = {"Access-Control-Request-Method": "PATCH"}
FREE = "access-control-allow-origin"


@pytest.fixture(scope="module")
def allowing(tmp_path_factory: Any) -> Iterator[Planner]:
    """A server for two origins, with limits so that all headers there are can be seen."""
    folder = tmp_path_factory.mktemp("cors")
    origins = f"{ORIGIN},http://localhost:5173"
    limits = "client=10000 per day,search=1 per day"
    with planning(
        folder,
        cors_origins=origins,
        cors_headers="X-Tenant",
        rate_limit_enabled=True,
        rate_limits=limits,
    ) as server:
        yield server


@pytest.fixture(scope="module")
def writer(allowing: Planner) -> Owner:
    return allowing.sign_up()


@pytest.fixture
def browser(allowing: Planner) -> Iterator[httpx.Client]:
    """What a page of the allowed origin sends."""
    with allowing.client(Origin=ORIGIN) as client:
        yield client


def listed(answer: httpx.Response, name: str) -> set[str]:
    return {item.strip().lower() for item in answer.headers[name].split(",")}


@pytest.mark.parametrize("path", ["/projects", "/projects/1", "/me", "/docs/x", "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_a_preflight_needs_no_token(browser: httpx.Client, path: str, method: str) -> None:
    asked = {"Access-Control-Request-Method": method}
    asked["Access-Control-Request-Headers"] = "authorization,content-type,if-match,idempotency-key"
    answer = browser.options(path, headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers[FREE] == ORIGIN
    assert method.lower() in listed(answer, "Access-Control-Allow-Methods")
    allowed = listed(answer, "Access-Control-Allow-Headers")
    assert {"authorization", "content-type", "if-match", "if-none-match"} <= allowed
    assert {"idempotency-key", "x-request-id"} <= allowed
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    assert "origin" in listed(answer, "Vary")
    for name in ("X-Request-Id", "X-Content-Type-Options", "Cache-Control"):
        assert answer.headers[name]


@pytest.mark.parametrize(
    "asked",
    [
        *({"Origin": origin, **PREFLIGHT} for origin in OTHERS),
        {"Origin": OTHERS[0], "Access-Control-Request-Private-Network": "true", **PREFLIGHT},
    ],
)
def test_another_origin_gets_no_cors_headers(allowing: Planner, asked: dict[str, str]) -> None:
    with allowing.client() as client:
        answer = client.options("/projects", headers=asked)
    assert answer.status_code == 204
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "origin" in listed(answer, "Vary")


@pytest.mark.parametrize(
    "asked",
    [
        "traceparent,tracestate",
        "sentry-trace,baggage",
        "X-Requested-With, Authorization",
        "x-tenant",
        "X-TENANT,x-request-id",
        "",
        ",",
        "accept,accept-language,content-language",
    ],
)
def test_headers_of_tracing_tools_and_of_cors_headers_are_allowed(
    browser: httpx.Client, asked: str
) -> None:
    answer = browser.options(
        "/projects", headers={"Access-Control-Request-Headers": asked, **PREFLIGHT}
    )
    assert answer.headers[FREE] == ORIGIN
    names = {name.strip().lower() for name in asked.split(",") if name.strip()}
    assert names <= listed(answer, "Access-Control-Allow-Headers")


@pytest.mark.parametrize(
    "asked",
    [
        {"Access-Control-Request-Headers": "authorization,x-other", **PREFLIGHT},
        {"Access-Control-Request-Headers": "x" * 20_000, **PREFLIGHT},
        {"Access-Control-Request-Method": "TRACE"},
        {"Access-Control-Request-Method": "patch"},
        {"Access-Control-Request-Method": ""},
    ],
)
def test_a_preflight_that_asks_for_too_much_is_told_what_is_allowed(
    browser: httpx.Client, asked: dict[str, str]
) -> None:
    answer = browser.options("/projects", headers=asked)
    assert (answer.status_code, answer.headers[FREE]) == (204, ORIGIN)
    assert "patch" in listed(answer, "Access-Control-Allow-Methods")
    assert "trace" not in listed(answer, "Access-Control-Allow-Methods")
    allowed = listed(answer, "Access-Control-Allow-Headers")
    assert "authorization" in allowed
    assert not {"x-other", "*"} & allowed


@pytest.mark.parametrize("origin", ["capacitor://localhost", "chrome-extension://abcdefghijklmnop"])
def test_an_origin_need_not_be_a_web_page(tmp_path: Any, origin: str) -> None:
    with (
        planning(tmp_path, cors_origins=f"{origin},{ORIGIN}") as server,
        server.client(Origin=origin) as client,
    ):
        assert client.get("/projects").headers[FREE] == origin
        assert client.options("/projects", headers=PREFLIGHT).headers[FREE] == origin


def test_a_page_of_an_allowed_origin_may_ask_a_private_network(browser: httpx.Client) -> None:
    asked = {"Access-Control-Request-Private-Network": "true", **PREFLIGHT}
    answer = browser.options("/projects", headers=asked)
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"
    answer = browser.options("/projects", headers=PREFLIGHT)
    assert "Access-Control-Allow-Private-Network" not in answer.headers


def test_each_refused_origin_setting_is_logged_once(
    tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with planning(tmp_path, cors_origins=ORIGIN) as server, server.client() as client:
        for number in range(3):
            headers = {"Origin": f"https://{number}.example", **PREFLIGHT}
            client.options("/projects", headers=headers)
            headers = {
                "Origin": ORIGIN,
                "Access-Control-Request-Headers": f"x-{number}",
                **PREFLIGHT,
            }
            client.options("/projects", headers=headers)
    assert [line for line in caplog.messages if "CORS_" in line] == [
        "Refused the origin 'https://0.example', which CORS_ORIGINS does not name.",
        "Refused the request header 'x-0', which CORS_HEADERS can allow.",
    ]


def test_an_empty_cors_origins_is_named_in_the_log(
    tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with planning(tmp_path) as server, server.client(Origin=ORIGIN) as client:
        for _ in range(3):
            client.options("/projects", headers=PREFLIGHT)
        client.options("/projects")  # no preflight
    assert [line for line in caplog.messages if "CORS_" in line] == [
        f"Refused the origin {ORIGIN!r}, because CORS_ORIGINS is not set.",
    ]


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:5173"])
def test_a_page_of_an_allowed_origin_may_read(allowing: Planner, origin: str) -> None:
    with allowing.client() as client:
        answer = client.get("/projects", headers={"Origin": origin})
    assert answer.status_code == 200
    assert answer.headers[FREE] == origin
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", OTHERS)
def test_a_page_of_another_origin_may_not(allowing: Planner, origin: str) -> None:
    with allowing.client() as client:
        for method in ("GET", "DELETE"):
            answer = client.request(method, "/projects", headers={"Origin": origin})
            assert FREE not in answer.headers


@pytest.mark.parametrize("headers", [{}, {"Origin": ORIGIN}, {"Origin": "https://evil.example"}])
def test_caches_are_told_that_the_origin_matters(
    allowing: Planner, headers: dict[str, str]
) -> None:
    with allowing.client() as client:
        for path in ("/projects", "/openapi.json", "/docs/favicon.svg", "/nowhere"):
            assert "origin" in listed(client.get(path, headers=headers), "Vary")


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/projects?limit=0", {}, 400),
        ("GET", "/projects", {"Host": "elsewhere.example"}, 400),
        ("GET", "/me", {}, 401),
        ("GET", "/nowhere", {}, 404),
        ("PUT", "/projects", {}, 405),
        ("POST", "/tokens", {"Content-Type": "text/plain"}, 415),
        ("GET", "/tasks?q=tea", {}, 429),
        ("GET", "/", {"X-Filler": "x" * 33_000}, 431),
    ],
)
def test_errors_can_be_read_too(
    browser: httpx.Client, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    if status == 429:
        browser.get(path)
    answer = browser.request(method, path, headers=headers)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers[FREE] == ORIGIN


def test_a_page_may_read_every_header_of_ours(browser: httpx.Client, writer: Owner) -> None:
    bearer = {"Authorization": f"Bearer {writer.tokens['access_token']}", "Idempotency-Key": "k"}
    body = {"name": "a"}
    for _ in range(2):
        created = browser.post("/projects", json=body, headers=bearer)
    path = created.headers["Location"]
    browser.post("/projects", json=body, headers=bearer | {"Idempotency-Key": "other"})
    answers = [
        created,
        browser.get(path),
        browser.get("/projects?limit=1"),
        browser.get("/me"),
        browser.get("/tasks?q=tea"),
        browser.get("/tasks?q=tea"),
    ]
    exposed = listed(answers[0], "Access-Control-Expose-Headers")
    # What any page may read (Fetch, CORS-safelisted response-header names), and what says nothing.
    anyway = {"cache-control", "content-type", "content-length", "x-content-type-options", "vary"}
    sent = {name.lower() for answer in answers for name in answer.headers} - anyway
    ours = {name for name in sent if not name.startswith("access-control-")} - {"date", "server"}
    assert ours == {"location", "etag", "link", "retry-after", "www-authenticate"} | {
        *("ratelimit", "ratelimit-policy", "idempotency-replayed", "x-request-id")
    }
    assert ours <= exposed


def test_any_origin_may_be_allowed(tmp_path: Any) -> None:
    with planning(tmp_path, cors_origins="*") as server, server.client(Origin=ORIGIN) as client:
        assert client.get("/projects").headers[FREE] == "*"
        asked = {"Access-Control-Request-Private-Network": "true", **PREFLIGHT}
        preflight = client.options("/projects", headers=asked)
        assert preflight.headers[FREE] == "*"
        assert "Access-Control-Allow-Private-Network" not in preflight.headers
        assert client.get("/projects", headers={"Origin": "null"}).headers[FREE] == "*"


def test_without_the_setting_no_origin_is_allowed(server: Planner) -> None:
    with server.client(Origin=ORIGIN) as client:
        preflight = client.options("/projects", headers=PREFLIGHT)
        assert (preflight.status_code, preflight.headers["Allow"]) == (
            204,
            "GET, HEAD, OPTIONS, POST",
        )
        for answer in (preflight, client.get("/projects"), client.get("/nowhere")):
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            assert "Vary" not in answer.headers


def test_options_without_a_preflight_says_what_is_allowed(browser: httpx.Client) -> None:
    answer = browser.options("/projects")
    assert (answer.status_code, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    assert answer.headers[FREE] == ORIGIN
