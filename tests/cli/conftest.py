"""Commands run in this process, in an empty folder of their own."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from service.cli import main
from tests.kit import postgres


@pytest.fixture
def byline(tmp_path, monkeypatch):
    """Runs a command in an empty folder, in this process: `byline("db upgrade")`."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "JWT_KEYS_DIR", "JWT_PRIVATE_KEY"):
        monkeypatch.delenv(name, raising=False)
    return lambda line, **more: CliRunner().invoke(main, line.split(), **more)


@pytest.fixture
def upgraded(byline):
    assert byline("db upgrade").exit_code == 0
    return byline


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(request, byline, monkeypatch):
    """As `upgraded`, on each database."""
    if request.param == "postgresql":
        monkeypatch.setenv("DATABASE_URL", postgres.start())
    assert byline("db upgrade").exit_code == 0
    return byline
