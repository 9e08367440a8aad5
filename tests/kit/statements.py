"""The statements that the service runs while a test looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from service.engine.database.transaction import Transaction
from service.engine.request import current_request


@contextmanager
def noted(pattern: str = "", *, requests: bool = True) -> Iterator[list[str]]:
    """The SQL that matches, in the order in which it is run during the block; of `requests` only,
    or also of work in the background."""
    found: list[str] = []
    execute, execute_later = Transaction.execute, Transaction.execute_later

    def note(sql: Any) -> None:
        if (current_request.get(None) or not requests) and re.search(pattern, str(sql)):
            found.append(str(sql))

    def _execute(transaction: Transaction, sql: Any, *arguments: Any, **options: Any) -> Any:
        note(sql)
        return execute(transaction, sql, *arguments, **options)

    def _execute_later(transaction: Transaction, sql: Any, *arguments: Any) -> None:
        if transaction._sends_together:  # otherwise it is executed
            note(sql)
        execute_later(transaction, sql, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transaction, "execute", _execute)
        patch.setattr(Transaction, "execute_later", _execute_later)
        yield found
