"""A Byline and its mail server, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import postgres
from tests.delivery.office import Office, opened

DATABASES = ["sqlite", "postgresql"]


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings for an empty database of the test's own."""
    return {} if request.param == "sqlite" else {"database_url": postgres.start()}


@pytest.fixture(scope="module", params=DATABASES)
def _shared(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Office]:
    own = {} if request.param == "sqlite" else {"database_url": postgres.start()}
    with opened(tmp_path_factory.mktemp(request.param), **own) as office:
        yield office


@pytest.fixture
def office(_shared: Office) -> Iterator[Office]:
    """An office that the tests of a file share, each with addresses of its own."""
    yield _shared
    _shared.tidy_up()
