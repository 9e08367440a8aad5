"""Settings that are probably mistakes cause a warning at start, without their value."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from service.advice import misspelt, warnings
from service.settings import Settings, load
from tests.kit.commands import run, start
from tests.kit.ports import free_port
from tests.kit.smtp import until

KNOWN = [name.upper() for name in Settings.model_fields]
MISSPELT = {
    "TRUSTED_HOST": "TRUSTED_HOSTS",
    "TRUSTED_HSOTS": "TRUSTED_HOSTS",
    "TRUSTEDHOSTS": "TRUSTED_HOSTS",
    "TRUSTED-HOSTS": "TRUSTED_HOSTS",
    "BYLINE_TRUSTED_HOSTS": "TRUSTED_HOSTS",
    "BYLINE_TRUSTED_PROXIES": "TRUSTED_PROXIES",
    "TRUSTED_PROXY": None,
    "TRUSTED_PROXIE": "TRUSTED_PROXIES",
    "REQUIRE_VERFIED_EMAILS": "REQUIRE_VERIFIED_EMAIL",
    "REQUIRED_VERIFIED_EMAIL": "REQUIRE_VERIFIED_EMAIL",
    "DATABASE_URI": "DATABASE_URL",
    "DATABSE_URL": "DATABASE_URL",
    "DATABASEURL": "DATABASE_URL",
    "PUBLIC_URLS": "PUBLIC_URL",
    "SMTP_URI": "SMTP_URL",
    "CORS_ORIGIN": "CORS_ORIGINS",
    "WORKER": "WORKERS",
    "WORKER_THREAD": "WORKER_THREADS",
    "METRIC_TOKEN": "METRICS_TOKEN",
    "JWT_KEY_DIR": "JWT_KEYS_DIR",
    "LOG_LEVLE": "LOG_LEVEL",
    "RATE_LIMIT": "RATE_LIMITS",
}
# Of shells, containers, CI, Kubernetes and other programs.
OTHERS = """
PATH HOME HOSTNAME HOSTTYPE PORTS POST COST LANG LC_ALL SHELL SHLVL TERM USER USERNAME PWD OLDPWD
LOGNAME MAIL MAILDIR MAIL_HOST MAILER TMPDIR EDITOR PAGER DISPLAY SSH_AUTH_SOCK XDG_RUNTIME_DIR
COMPOSE_PROJECT_NAME VERSION PUBLISH POSTGRES_PASSWORD POSTGRES_URL HOST_NAMES MALLOC_ARENA_MAX
KUBERNETES_PORT KUBERNETES_SERVICE_HOST BYLINE_PORT BYLINE_SERVICE_HOST BYLINE_PORT_8000_TCP
BYLINE_SERVICE_PORT POD_IP WEB_CONCURRENCY PYTHONPATH PYTHONUNBUFFERED VIRTUAL_ENV PS1 HTTP_PROXY
HTTPS_PROXY NO_PROXY http_proxy HTTP_HOST HTTP_PORT REDIS_URL REDIS_HOST DB_URL DB_HOST API_URL
SITE_URL BASE_URL HTTP_URL SMTP_HOST SMTP_PORT SMTP_USER LOGLEVEL LOG_FILE LOG_DIR CI GITHUB_TOKEN
GITHUB_ACTIONS AWS_REGION AWS_ACCESS_KEY_ID AWS_SESSION_TOKEN ACCESS_TOKEN ACCESS_TOKEN_URL
REFRESH_TOKEN REFRESH_TOKEN_URL SESSION_KEY SESSION_ID JWT_SECRET JWT_SECRET_KEY SECRET_KEY DEBUG
FLASK_APP FLASK_ENV FLASK_DEBUG UVICORN_HOST UVICORN_PORT UVICORN_WORKERS UVICORN_LOG_LEVEL
GUNICORN_WORKERS OTEL_SERVICE_NAME OTEL_RESOURCE_ATTRIBUTES OTEL_EXPORTER_OTLP_HEADERS
OTEL_EXPORTER_OTLP_PROTOCOL OTEL_EXPORTER_OTLP_TRACES_ENDPOINT OTEL_EXPORTER_OTLP_TIMEOUT NODE_ENV
PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGSSLMODE CORS_MAX_AGE PRODUCT_ID NOTIFY_SOCKET
INVOCATION_ID JOURNAL_STREAM LISTEN_FDS MAINPID CREDENTIALS_DIRECTORY STATE_DIRECTORY
"""


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("given", MISSPELT)
def test_a_misspelt_setting_gets_a_suggestion(given: str) -> None:
    near = MISSPELT[given]
    assert list(misspelt([given], KNOWN)) == ([(given, near)] if near else [])


def test_variables_of_other_programs_get_no_suggestion() -> None:
    assert list(misspelt(OTHERS.split(), KNOWN)) == []


def test_the_names_of_the_settings_get_no_suggestion() -> None:
    assert list(misspelt(KNOWN, KNOWN)) == []
    for name in KNOWN:
        others = [other for other in KNOWN if other != name]
        assert list(misspelt([name], others)) == []


def test_the_environment_and_the_env_file_are_both_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("REQUIRE_VERIFIED_EMAILS=hunter2\nCOMPOSE_PROJECT_NAME=x\n")
    monkeypatch.setenv("trusted_host", "hunter2")
    monkeypatch.setenv("trusted_proxies", "10.0.0.0/8")  # is one, in small letters
    assert list(warnings(load())) == [
        "REQUIRE_VERIFIED_EMAILS is not a setting. Did you mean REQUIRE_VERIFIED_EMAIL?",
        "TRUSTED_HOST is not a setting. Did you mean TRUSTED_HOSTS?",
    ]


HERE = "PUBLIC_URL is an address of this machine: others cannot open the links in mails."
CLEAR = "PUBLIC_URL is http://: the tokens in mailed links travel without encryption."
NO_PASSKEYS = "PUBLIC_URL is no https:// address with a name: browsers refuse passkeys there."
UNNAMED = "TRUSTED_HOSTS lacks the host of PUBLIC_URL, so requests for it are refused."


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, []),
        ({"PUBLIC_URL": "http://localhost:8000"}, []),
        # A mail catcher for development.
        ({"PUBLIC_URL": "http://127.0.0.1:8000", "SMTP_URL": "smtp://localhost:1025"}, []),
        ({"PUBLIC_URL": "http://127.0.0.1:8000", "SMTP_URL": "smtp://mail.example.com"}, [HERE]),
        ({"PUBLIC_URL": "http://[::1]:8000", "SMTP_URL": "smtp://mail.example.com"}, [HERE]),
        ({"PUBLIC_URL": "http://byline.localhost", "SMTP_URL": "smtp://192.0.2.1"}, [HERE]),
        ({"PUBLIC_URL": "https://a.example", "TRUSTED_HOSTS": "a.example"}, []),
        ({"PUBLIC_URL": "https://A.example:8443/x", "TRUSTED_HOSTS": "*.b,a.example"}, []),
        ({"PUBLIC_URL": "https://a.example"}, [UNNAMED]),
        ({"PUBLIC_URL": "http://a.example", "TRUSTED_HOSTS": "a.example"}, [CLEAR, NO_PASSKEYS]),
        (
            {"PUBLIC_URL": "http://a.example", "TRUSTED_HOSTS": "*.a.example"},
            [CLEAR, UNNAMED, NO_PASSKEYS],
        ),
        ({"PUBLIC_URL": "https://192.0.2.1", "TRUSTED_HOSTS": "192.0.2.0/24"}, [NO_PASSKEYS]),
        (
            {
                "PUBLIC_URL": "https://192.0.2.1",
                "TRUSTED_HOSTS": "192.0.2.0/24",
                "PASSKEY_ORIGINS": "https://a.example",
            },
            [],
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_named(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], expected: list[str]
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert list(warnings(load())) == expected


def test_an_unusable_mail_folder_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hunter2").write_text("")
    for folder in ("hunter2", "hunter2/mail"):
        monkeypatch.setenv("MAIL_DIR", folder)
        [line] = warnings(load())
        assert line.startswith("MAIL_DIR is not writable")
        assert "hunter2" not in line
    monkeypatch.setenv("MAIL_DIR", str(tmp_path / "new" / "mail"))
    assert list(warnings(load())) == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_start_warns_once_and_serves(tmp_path: Path, workers: str) -> None:
    assert run(tmp_path, "db", "upgrade").returncode == 0
    (tmp_path / ".env").write_text("REQUIRE_VERIFIED_EMAILS=hunter2\n")
    log = tmp_path / "log"
    process = start(log, free_port(), TRUSTED_HOST="hunter2", WORKERS=workers)
    try:
        until(lambda: "docs    http" in log.read_text() or process.poll() is not None)
        until(lambda: log.read_text().count("is not a setting") >= 2 or process.poll() is not None)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    lines = [line for line in log.read_text().splitlines() if "is not a setting" in line]
    assert len(lines) == 2
    assert '"level":"warning"' in lines[0]
    assert "hunter2" not in log.read_text()


def test_serve_refuses_smtp_url_without_public_url(tmp_path: Path) -> None:
    ended = run(tmp_path, "serve", SMTP_URL="smtp://u:hunter2@mail.example.com")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Error: PUBLIC_URL must be set when SMTP_URL is")
    assert ended.stderr.count("\n") == 1
    assert "hunter2" not in ended.stderr
