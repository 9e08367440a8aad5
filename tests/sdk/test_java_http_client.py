"""Java's own client, which offers an upgrade to HTTP/2 with the first request to every server."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.kit.java import SMALL_COMPILER, java
from tests.kit.serving import Server


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_the_java_client_gets_the_same_answers(server: Server) -> None:
    sources = ["-sourcepath", Path(__file__).parent, "Offering"]
    said = java(SMALL_COMPILER, *sources, server.url, f"{secrets.token_hex(6)}@example.com")

    assert said.splitlines() == [
        "POST 201 HTTP_1_1",
        "POST 200 HTTP_1_1",
        "POST 201 HTTP_1_1",
        "GET 200 HTTP_1_1",
        "DELETE 204 HTTP_1_1",
    ]
