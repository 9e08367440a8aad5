"""Cross-origin requests to the example (more in engine/test_cors)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.specification import specification
from tests.kit.cookies import NAME, SET
from tests.kit.references import resolved
from tests.kit.serving import PASSWORD, Server, serving

ORIGIN = "https://app.example.com"
FREE = "access-control-allow-origin"
OTHER = "http://localhost:5173"
WITH_COOKIES = "access-control-allow-credentials"


def returns_a_refresh_token(operation: dict[str, Any]) -> bool:
    content = operation["responses"].get("200", {}).get("content", {})
    schema = resolved(content.get("application/json", {}).get("schema", {}))
    return "refresh_token" in schema.get("properties", {})


@pytest.fixture(scope="module")
def browser(tmp_path_factory: Any) -> Iterator[httpx.Client]:
    """What a page of the allowed origin sends."""
    folder = tmp_path_factory.mktemp("cors")
    with (
        serving(folder, cors_origins=ORIGIN) as server,
        server.client(Origin=ORIGIN) as client,
    ):
        yield client


@pytest.mark.parametrize("path", ["/auth/me", "/auth/login", "/api/users", "/docs/init.js"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_preflight_needs_no_token(browser: httpx.Client, path: str, method: str) -> None:
    asked = {"Access-Control-Request-Method": method}
    asked["Access-Control-Request-Headers"] = "authorization,content-type,if-match"
    answer = browser.options(path, headers=asked)
    assert (answer.status_code, answer.headers[FREE]) == (204, ORIGIN)
    assert method in answer.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("path", ["/api/users", "/openapi.yaml", "/docs/init.js", "/auth/me"])
def test_a_page_of_an_allowed_origin_may_read(browser: httpx.Client, path: str) -> None:
    assert browser.get(path).headers[FREE] == ORIGIN
    assert FREE not in browser.get(path, headers={"Origin": "https://evil.example"}).headers


@pytest.fixture(scope="module")
def server(tmp_path_factory: Any) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("cookies"), cors_origins=f"{ORIGIN},{OTHER}") as running:
        yield running


def test_a_page_of_a_listed_origin_uses_the_cookie(server: Server) -> None:
    anna = server.sign_up()
    body = {"email": anna.email, "password": PASSWORD, "transport": "cookie"}
    with server.client(Origin=ORIGIN) as http:
        answers = [http.post("/auth/login", json=body)]
        for path in ("/auth/refresh", "/auth/logout"):
            token = SET.fullmatch(answers[-1].headers["Set-Cookie"])[1]  # type: ignore[index]
            answers.append(http.post(path, headers={"Cookie": f"{NAME}={token}"}))
    assert [answer.status_code for answer in answers] == [200, 200, 204]
    for answer in answers:
        assert (answer.headers[FREE], answer.headers[WITH_COOKIES]) == (ORIGIN, "true")
        assert answer.headers["Vary"] == "Origin"
        assert answer.headers["Cache-Control"] == "no-store"


def test_cookies_are_allowed_where_they_are_set_and_nowhere_else(server: Server) -> None:
    asked = {"Access-Control-Request-Method": "POST"}
    with server.client(Origin=ORIGIN) as http:
        for path, item in specification.document["paths"].items():
            sets_it = path == "/auth/logout" or any(map(returns_a_refresh_token, item.values()))
            preflight = http.options(path, headers=asked)
            assert preflight.headers.get(WITH_COOKIES) == ("true" if sets_it else None), path
        refused = http.post("/auth/refresh")
        assert (refused.status_code, refused.headers[WITH_COOKIES]) == (401, "true")
        for path in ("/auth/me", "/api/users", "/auth/refresh/", "/auth/refresh?x=1"):
            expected = "true" if "?" in path else None
            assert http.get(path).headers.get(WITH_COOKIES) == expected


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://app.example.com", "*"])
def test_an_origin_that_is_not_listed_may_not_use_cookies(server: Server, origin: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Origin": origin}
    cookie = {"Cookie": f"{NAME}=a.b.c", "Sec-Fetch-Site": "cross-site", "Origin": origin}
    with server.client() as http:
        preflight = http.options("/auth/refresh", headers=asked)
        answer = http.post("/auth/refresh", headers=cookie)
    assert (answer.status_code, answer.json()["code"]) == (403, "origin-not-allowed")
    for one in (preflight, answer):
        assert not {FREE, WITH_COOKIES} & one.headers.keys()
        assert "Origin" in one.headers["Vary"]


def test_where_any_origin_may_call_none_may_use_cookies(tmp_path: Path) -> None:
    asked = {"Access-Control-Request-Method": "POST"}
    with serving(tmp_path, cors_origins="*") as server, server.client() as http:
        for origin in (ORIGIN, "null", "*"):
            cookie = {"Cookie": f"{NAME}=a.b.c", "Origin": origin}
            answer = http.post("/auth/refresh", headers=cookie)
            assert (answer.status_code, answer.json()["code"]) == (403, "origin-not-allowed")
            preflight = http.options("/auth/refresh", headers=asked | {"Origin": origin})
            for one in (preflight, answer):
                assert one.headers[FREE] == "*"
                assert WITH_COOKIES not in one.headers


def test_an_operation_that_returns_a_refresh_token_can_return_it_in_a_cookie() -> None:
    for item in specification.document["paths"].values():
        for operation in filter(returns_a_refresh_token, item.values()):
            content = operation.get("requestBody", {}).get("content", {})
            body = resolved(content.get("application/json", {}).get("schema", {}))
            is_asked = "transport" in body.get("properties", {})
            assert is_asked or {"refreshCookie": []} in operation["security"], operation
            assert "Set-Cookie" in operation["responses"]["200"]["headers"], operation
