"""Connections that come back to a pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service.engine.database.transaction import db
from tests.kit.serving import Server


def test_a_connection_that_comes_back_while_its_pool_is_disposed_of_is_closed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.flask.app_context():
        connections = server.flask.extensions["databases"][None].connections
        pooled = connections.take()
        driver, close = pooled.dbapi_connection, pooled.close
        assert driver.execute("SELECT 1").fetchone() == (1,)
        driver.rollback()
        monkeypatch.setattr(pooled, "close", _after(db.engine.dispose, close))
        connections.give_back(pooled)
        with pytest.raises(db.engine.dialect.loaded_dbapi.Error, match="closed"):
            driver.execute("SELECT 1")


def _after(first: Callable[[], Any], then: Callable[[], Any]) -> Callable[[], None]:
    def both() -> None:
        first()
        then()

    return both
