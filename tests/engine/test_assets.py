"""Files that pages load, which are the same for everybody."""

from __future__ import annotations

import httpx
import pytest

from service.engine.http import assets, docs
from tests.kit.attack import on
from tests.kit.planning import Planner

pytestmark = on("sqlite")


FILES = ("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css")


def test_no_request_makes_the_entity_tag_of_a_file_anew(
    server: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Swagger UI is 1.7 MB, and others wait while its hash is made.
    made: list[bytes] = []
    with server.client() as client:
        tags = {path: client.head(path).headers["ETag"] for path in FILES}  # read now, for all
        monkeypatch.setattr(assets, "etag", lambda body: made.append(body) or docs.etag(body))
        for path, tag in tags.items():
            assert client.get(path).headers["ETag"] == tag
            for known, status in ((tag, 304), (f"W/{tag}", 304), ("*", 304), ('"x"', 200)):
                answer: httpx.Response = client.head(path, headers={"If-None-Match": known})
                assert (answer.status_code, answer.headers["ETag"]) == (status, tag)
        assert client.head("/docs/", headers={"If-None-Match": "*"}).status_code == 308
    assert made == []
