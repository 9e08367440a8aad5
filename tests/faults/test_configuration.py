"""A bad setting prevents the start, with one line on standard error that hides the value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kit.commands import run

SECRET = "hunter2-hunter2"
BAD = {
    "DATABASE_URL": f"mysql://root:{SECRET}@db/byline",
    "DATABASE_REPLICA_URL": f"sqlite:///{SECRET}.db",
    "RATE_LIMIT_STORAGE_URL": f"memcached://:{SECRET}@store",
    "RATE_LIMITS": f"login={SECRET}",
    "JWT_PRIVATE_KEY": SECRET,
    "SMTP_URL": f"http://user:{SECRET}@mail",
    "PORT": SECRET,
    "WORKERS": SECRET,
    "SHUTDOWN_DELAY": SECRET,
    "TRUSTED_PROXIES": SECRET,
}


def test_a_bad_setting_is_one_clear_line(tmp_path: Path, report: Any) -> None:
    report("bad configuration")
    ends = {name: run(tmp_path, "serve", **{name: value}) for name, value in BAD.items()}
    report(requests=len(ends), more="exit code 2 and one line for each")
    for name, ended in ends.items():
        assert ended.returncode == 2, name
        assert ended.stdout == ""
        assert ended.stderr.startswith(f"Error: {name} ")
        assert ended.stderr.count("\n") == 1
        assert SECRET not in ended.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_production_database_without_a_key_is_refused(
    workers: str, tmp_path: Path, database: str, report: Any
) -> None:
    report(f"no signing key, WORKERS={workers}")
    assert run(tmp_path, "db", "upgrade", DATABASE_URL=database).returncode == 0
    ended = run(tmp_path, "serve", DATABASE_URL=database, WORKERS=workers)
    report(more=ended.stderr.strip()[:60] + " ...")
    assert ended.returncode == 2
    assert "JWT_KEYS_DIR contains no key" in ended.stderr
    assert ended.stderr.count("\n") == 1
