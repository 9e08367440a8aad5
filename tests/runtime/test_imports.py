"""What a process imports: every library costs memory and a part of the start."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.kit import commands

# What libraries of ours import for what a server never does.
SPARED = {"httpx", "requests", "rich", "pygments", "charset_normalizer", "valkey", "psutil"}
# What migrations and traces need.
SPARED |= {"alembic.command", "opentelemetry.sdk", "opentelemetry.exporter"}


@pytest.mark.parametrize("store", ["memory://", "redis://localhost:1"])
def test_a_server_imports_no_library_for_what_it_never_does(tmp_path, store):
    loaded = imported_by("import app, service.cli", tmp_path, RATE_LIMIT_STORAGE_URL=store)
    assert loaded & SPARED == set()
    assert "connexion" in loaded


def test_a_command_that_does_not_serve_imports_no_part_of_a_server(tmp_path):
    loaded = imported_by("import service.cli", tmp_path)
    assert loaded & {"connexion", "starlette", "uvicorn", "jsonschema_rs", *SPARED} == set()


def test_a_library_that_was_spared_can_be_imported_later(tmp_path):
    code = (
        "import app, httpx, requests; from starlette.testclient import TestClient; TestClient(app)"
    )
    assert imported_by(code, tmp_path) >= {"httpx", "requests"}


def test_the_client_for_tests_of_connexion_works(tmp_path):
    code = "import app; assert app.app.test_client().get('/health/live').status_code == 200"
    assert "httpx" in imported_by(code, tmp_path, TRUSTED_HOSTS="testserver")


def imported_by(code, folder, **settings):
    """The names of the modules that this code imports."""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{code}; import sys; print(*sys.modules)"],
        cwd=commands.ROOT,
        env=commands.environment(folder, JWT_KEYS_DIR=str(folder / "keys"), **settings),
        capture_output=True,
        text=True,
        check=True,
    )
    return {*found.stdout.split()}
