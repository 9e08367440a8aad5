"""What a handler counts itself is counted in the store, wherever the handler runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kit import databases, valkey
from tests.kit.serving import Server


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_servers_with_one_store_share_what_handlers_count(
    serve: Callable[..., Server], database: str
) -> None:
    own = {} if database == "sqlite" else {"database_url": databases.postgresql()}
    limits = {"rate_limit_enabled": True, "rate_limits": "refresh=3 per day"}
    here, there = (serve(**own, **limits, rate_limit_storage_url=valkey.start()) for _ in range(2))
    anna = here.sign_up()
    token = anna.tokens["refresh_token"]
    statuses = []
    for server in (here, there, here, there):
        with server.client(token) as client:
            answer = client.post("/auth/refresh")
        statuses.append(answer.status_code)
        token = answer.json().get("refresh_token")
    assert statuses == [200, 200, 200, 429]
