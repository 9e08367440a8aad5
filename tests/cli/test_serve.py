"""The command line does what it says, and a failure is one line and an exit code."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from service.engine.serve import server
from service.specification import specification
from tests.kit.commands import COMMAND, environment, execute, run
from tests.kit.heads import NEWER
from tests.kit.ports import free_port


def test_the_version_is_that_of_the_specification(byline):
    assert byline("--version").output == f"byline {specification.version}\n"


def test_bad_configuration_is_one_line_and_exit_code_2(tmp_path):
    ended = run(tmp_path, "serve", DATABASE_URL="mysql://root:secret@db/byline")

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert re.fullmatch(r"Error: DATABASE_URL must be .*\n", ended.stderr)
    assert "secret" not in ended.stderr


def test_a_bad_option_of_serve_is_one_line_and_exit_code_2(tmp_path):
    ended = run(tmp_path, "serve", "--port", "high")

    assert ended.returncode == 2
    assert re.fullmatch(r"Error: PORT must be .*\n", ended.stderr)


def test_an_unusable_folder_is_one_line(byline, monkeypatch):
    monkeypatch.setenv("JWT_KEYS_DIR", "/dev/null/keys")
    ended = byline("keys generate")

    assert ended.exit_code == 1
    assert ended.output == "Error: /dev/null/keys: Not a directory\n"


def test_serve_refuses_a_schema_that_is_not_there(tmp_path):
    ended = run(tmp_path, "serve")

    assert ended.returncode == 1
    assert ended.stderr == "Error: The schema is empty: run `byline db upgrade` first.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_exits_when_the_application_refuses_its_settings(tmp_path, workers):
    run(tmp_path, "db", "upgrade")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "mine.pem").write_text("no key")

    ended = run(tmp_path, "serve", WORKERS=workers, JWT_KEYS_DIR="keys")

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert re.fullmatch(r".*JWT_KEYS_DIR cannot be used: mine.pem .*\n", ended.stderr)


def test_serve_says_why_when_there_is_no_database(byline, monkeypatch):
    monkeypatch.setattr(server, "DATABASE_TIMEOUT_SECONDS", 0)

    ended = byline("serve", env={"DATABASE_URL": "postgresql://byline:secret@127.0.0.1:1/byline"})

    assert ended.exit_code == 1
    assert "Connection refused" in ended.output
    assert ended.output.count("\n") == 1
    assert "secret" not in ended.output


def test_a_newer_schema_must_have_the_tables_that_this_code_needs(tmp_path):
    run(tmp_path, "db", "upgrade")
    engine = sa.create_engine(f"sqlite:///{tmp_path}/byline.db")
    with engine.begin() as connection:
        connection.exec_driver_sql(NEWER)
        connection.exec_driver_sql("CREATE TABLE news (id INTEGER)")
    assert run(tmp_path, "db", "check").stdout == "The schema is newer.\n"

    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE mail_counts")
    engine.dispose()

    checked = run(tmp_path, "db", "check")
    assert checked.returncode == 1
    assert checked.stderr == "Error: The schema differs from the code:\n  add_table mail_counts\n"


def test_serve_runs_also_on_a_newer_schema_and_prints_its_addresses(tmp_path):
    assert run(tmp_path, "db", "upgrade").stdout == "The schema is current.\n"
    engine = sa.create_engine(f"sqlite:///{tmp_path}/byline.db")
    with engine.begin() as connection:
        connection.exec_driver_sql(NEWER)
    engine.dispose()
    port = free_port()
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", str(port)],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        answer = _patiently(f"http://127.0.0.1:{port}/health/ready", process)
    finally:
        process.send_signal(signal.SIGTERM)
        output, log = process.communicate(timeout=60)

    assert answer.status_code == 200, log
    assert "server" not in answer.headers
    assert output == (
        f"Byline {specification.version}\n"
        f"  docs    http://127.0.0.1:{port}/docs\n"
        f"  spec    http://127.0.0.1:{port}/openapi.yaml\n"
        f"  health  http://127.0.0.1:{port}/health/ready\n"
        "  mails   instance/mail/*.eml, until SMTP_URL is set\n"
    )


@pytest.mark.parametrize(
    ("host", "shown"),
    [("0.0.0.0", "127.0.0.1:80"), ("::", "[::1]:80"), ("a.example", "a.example:80")],
)
def test_the_printed_address_can_be_opened(host, shown):
    assert server._authority(host, 80) == shown


def test_upgrade_makes_the_folder_for_its_owner_only(upgraded):
    assert Path("instance").stat().st_mode & 0o777 == 0o700
    assert Path("instance/byline.db").exists()


def test_downgrade_to_base_empties_the_schema(upgraded):
    assert upgraded("db downgrade base").output == "The schema is empty.\n"
    assert upgraded("db check").exit_code == 1


def test_an_unknown_revision_is_one_line(upgraded):
    ended = upgraded("db upgrade 4711")

    assert ended.exit_code == 1
    assert ended.output == "Error: Can't locate revision identified by '4711'\n"


def test_check_names_what_differs(upgraded):
    assert upgraded("db check").output == "The schema is current.\n"
    execute(sa.text("DROP INDEX ix_sessions_expires_at"))

    ended = upgraded("db check")

    assert ended.exit_code == 1
    assert "add_index ix_sessions_expires_at" in ended.output


def test_the_specification_is_printed_without_its_wiring(byline):
    output = byline("openapi").output

    assert output.startswith("openapi: 3.0.3\n")
    assert set(re.findall(r"^ *(x-\S+):", output, re.MULTILINE)) == {"x-noun", "x-codeSamples"}


def test_the_specification_is_printed_as_openapi_3_1(byline):
    printed = json.loads(byline("openapi --version 3.1").output)

    assert printed["openapi"] == "3.1.0"
    assert printed["info"] == specification.document["info"]


def _patiently(url: str, process: subprocess.Popen[str]) -> httpx.Response:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(process.communicate()[1] if process.poll() is not None else "no answer")
