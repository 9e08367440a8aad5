"""A pytest plugin that starts the longest files first, so that no process of pytest-xdist runs
alone at the end. pytest-randomly orders the tests within a file."""

from __future__ import annotations

import pytest

# Files and folders in which a file takes ten seconds or more, the longest first.
LONG = (
    "tests/privacy/",
    "tests/server/",
    "tests/sdk/",
    "tests/repository/",
    "tests/races/",
    "tests/engine/test_stream_clients.py",
    "tests/spec/test_schema.py",
    "tests/browser/",
    "tests/cli/",
    "tests/deploy/",
    "tests/delivery/",
    "tests/database/",
    "tests/replica/",
    "tests/settings/",
    "tests/engine/",
    "tests/web/",
)


@pytest.hookimpl(trylast=True)  # after pytest-randomly's
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    return next((n for n, start in enumerate(LONG) if item.nodeid.startswith(start)), len(LONG))
