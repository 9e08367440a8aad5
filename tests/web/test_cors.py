"""Cross-origin requests to the example (more in engine/test_cors)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.kit.serving import serving

ORIGIN = "https://app.example.com"
FREE = "access-control-allow-origin"


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
