from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.kit.serving import Server


@pytest.fixture
def crowd(server: Server) -> Iterator[httpx.Client]:
    """A client for many threads: it opens a connection for each."""
    with server.client() as client:
        yield client
