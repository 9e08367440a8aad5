"""A Byline and its mail server, on each database."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.kit import databases
from tests.kit.mailer import Mailer, opened

DATABASES = ["sqlite", "postgresql"]

Certify = Callable[..., ssl.SSLContext]


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings for an empty database of the test's own."""
    return {} if request.param == "sqlite" else {"database_url": databases.postgresql()}


@pytest.fixture(scope="module", params=DATABASES)
def _shared(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Mailer]:
    own = {} if request.param == "sqlite" else {"database_url": databases.postgresql()}
    with opened(tmp_path_factory.mktemp(request.param), **own) as mailer:
        yield mailer


@pytest.fixture
def mailer(_shared: Mailer) -> Iterator[Mailer]:
    """An mailer that the tests of a file share, each with addresses of its own."""
    yield _shared
    _shared.tidy_up()


@pytest.fixture
def certify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certify:
    """What a mail server shows: a certificate for 127.0.0.1 by the only authority we trust."""
    trusted = trustme.CA()
    trusted.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    def shows(name: str = "127.0.0.1", authority: trustme.CA = trusted) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(context)
        return context

    return shows
