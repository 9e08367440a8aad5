"""Before the password is right, nothing that the service does depends on second factors."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.engine.database.transaction import Transaction
from service.engine.request import current_request
from tests.kit.second_factors import add_app, log_in
from tests.kit.serving import Person, Server


def statements(
    http: httpx.Client, person: Person, monkeypatch: pytest.MonkeyPatch, password: str
) -> list[str]:
    """The statements that a sign-in takes."""
    found: list[str] = []
    execute = Transaction.execute

    def _noted(transaction: Transaction, sql: str, parameters: Any) -> Any:
        if current_request.get(None) is not None:  # not those of work in the background
            found.append(sql)
        return execute(transaction, sql, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "execute", _noted)
        log_in(http, person, password)
    return found


def test_a_wrong_password_takes_the_same_statements_with_a_second_factor(
    server: Server,
    anna: Person,
    ben: Person,
    anonymous: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_app(anna)
    with_one, without = (
        statements(anonymous, person, monkeypatch, "wrong") for person in (anna, ben)
    )
    assert with_one == without
    assert len(without) > 1
    right = statements(anonymous, anna, monkeypatch, anna.password)
    assert any("challenges" in sql for sql in right)
    assert not any("totp_factors" in sql or "challenges" in sql for sql in with_one)
