"""Settings come typed from the environment, and a bad one is one line that keeps its secret."""

import sys
from pathlib import Path

import pytest

from service.settings import BadConfiguration, Settings, load

DEFAULTS = {
    "database_replica_url": None,
    "rate_limit_storage_url": "memory://",
    "rate_limit_enabled": True,
    "rate_limit_client": None,
    "rate_limits": {},
    "jwt_keys_dir": Path("instance/keys"),
    "jwt_private_key": None,
    "jwt_issuer": "byline",
    "jwt_audience": "byline",
    "access_token_ttl": 900,
    "refresh_token_ttl": 2_592_000,
    "session_ttl": 7_776_000,
    "password_min_length": 8,
    "require_verified_email": False,
    "product_name": "Byline",
    "smtp_url": None,
    "mail_from": None,
    "mail_dir": Path("instance/mail"),
    "public_url": "http://127.0.0.1:8000",
    "trusted_hosts": ("localhost", "127.0.0.1", "[::1]"),
    "trusted_proxies": (),
    "cors_origins": (),
    "host": "127.0.0.1",
    "port": 8000,
    "workers": 1,
    "worker_threads": 16,
    "hash_threads": 1,
    "shutdown_delay": 3,
    "metrics_dir": None,
    "metrics_token": None,
    "log_level": "INFO",
    "log_format": "json",
    "otel_exporter_otlp_endpoint": None,
}

PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----\n"

UNDERSTOOD = [
    ("DATABASE_URL", "postgres://u:p@db/x", "postgresql+psycopg://u:p@db/x"),
    (
        "DATABASE_URL",
        "postgresql://u:p@db/x?sslmode=require",
        "postgresql+psycopg://u:p@db/x?sslmode=require",
    ),
    ("DATABASE_URL", "postgresql+psycopg://db/x", "postgresql+psycopg://db/x"),
    ("DATABASE_URL", "sqlite:////var/lib/byline.db", "sqlite:////var/lib/byline.db"),
    ("RATE_LIMIT_STORAGE_URL", "redis://:p@cache:6379/0", "redis://:p@cache:6379/0"),
    ("RATE_LIMIT_STORAGE_URL", "redis+sentinel://a:1,b:2/main", "redis+sentinel://a:1,b:2/main"),
    ("RATE_LIMIT_STORAGE_URL", "redis+cluster://a:1,b:2", "redis+cluster://a:1,b:2"),
    ("RATE_LIMIT_ENABLED", "false", False),
    (
        "RATE_LIMITS",
        "login=20 per minute, mail=5 per hour;20 per hour",
        {"login": "20 per minute", "mail": "5 per hour;20 per hour"},
    ),
    ("RATE_LIMIT_CLIENT", "10/second", "10/second"),
    ("JWT_KEYS_DIR", "/run/keys", Path("/run/keys")),
    ("SMTP_URL", "smtp://u:p@mail:587?starttls=true", "smtp://u:p@mail:587?starttls=true"),
    ("MAIL_FROM", "Byline <byline@example.com>", "Byline <byline@example.com>"),
    ("PUBLIC_URL", "https://byline.example.com/", "https://byline.example.com"),
    ("TRUSTED_HOSTS", "Byline.example.com, [::1],", ("byline.example.com", "[::1]")),
    (
        "TRUSTED_HOSTS",
        "*.Example.com,10.0.0.0/8,fd00::/8,[fd00::]/8,192.0.2.7,::1,a_b.example.",
        (
            "*.example.com",
            "10.0.0.0/8",
            "fd00::/8",
            "[fd00::]/8",
            "192.0.2.7",
            "::1",
            "a_b.example",
        ),
    ),
    ("TRUSTED_PROXIES", "10.0.0.0/8,::1", ("10.0.0.0/8", "::1/128")),
    ("CORS_ORIGINS", "https://App.example.com:8443", ("https://app.example.com:8443",)),
    ("CORS_ORIGINS", "*", ("*",)),
    ("PORT", "0", 0),
    ("LOG_LEVEL", "debug", "DEBUG"),
    ("LOG_FORMAT", "Text", "text"),
    ("METRICS_TOKEN", "", None),
]

# A value that has room for it holds "hunter2", which no line may show.
REFUSED = [
    ("DATABASE_URL", "hunter2"),
    ("DATABASE_URL", "mysql://u:hunter2@db/x"),
    ("DATABASE_URL", "postgresql+asyncpg://u:hunter2@db/x"),
    ("DATABASE_URL", "postgresql://u:hunter2@db:port/x"),
    ("DATABASE_URL", "sqlite://hunter2/byline.db"),
    ("DATABASE_URL", "sqlite:///file:hunter2?uri=true"),
    ("DATABASE_URL", "postgresql://u@db/x?pgbouncer=hunter2"),
    ("DATABASE_REPLICA_URL", "postgresql://u:hunter2@db/x"),
    ("DATABASE_REPLICA_URL", "sqlite:///hunter2.db"),
    ("SHUTDOWN_DELAY", "-1"),
    ("RATE_LIMIT_STORAGE_URL", "memcached://hunter2"),
    ("RATE_LIMIT_STORAGE_URL", "redis://"),
    ("RATE_LIMIT_ENABLED", "hunter2"),
    ("RATE_LIMITS", "hunter2=1 per minute"),
    ("RATE_LIMITS", "login=hunter2"),
    ("RATE_LIMITS", "login"),
    ("RATE_LIMITS", "login=0 per minute"),
    ("RATE_LIMITS", "login=7 per minute,login=8 per minute"),
    ("RATE_LIMITS", "login=7 per minute;70 per hour"),
    ("RATE_LIMITS", "mail=7 per hour"),
    ("RATE_LIMIT_CLIENT", "hunter2"),
    ("RATE_LIMIT_CLIENT", "7 per minute;70 per hour"),
    ("JWT_PRIVATE_KEY", "hunter2"),
    ("JWT_PRIVATE_KEY", PEM.replace("PRIVATE", "PUBLIC")),
    ("JWT_PRIVATE_KEY", PEM.replace("PRIVATE", "ENCRYPTED PRIVATE")),
    ("JWT_ISSUER", " "),
    ("ACCESS_TOKEN_TTL", "0"),
    ("REFRESH_TOKEN_TTL", "-7"),
    ("SESSION_TTL", "99999999999"),
    ("PASSWORD_MIN_LENGTH", "7"),
    ("PASSWORD_MIN_LENGTH", "257"),
    ("REQUIRE_VERIFIED_EMAIL", "hunter2"),
    ("PRODUCT_NAME", "hunter2\nBcc: eve@example.com"),
    ("PRODUCT_NAME", "hunter2" * 10),
    ("SMTP_URL", "mail:hunter2"),
    ("SMTP_URL", "smtp://u:hunter2@mail:port"),
    ("SMTP_URL", "smtp://u:hunter2@mail?starttls"),
    ("SMTP_URL", "smtps://u:hunter2@mail?starttls=true"),
    ("MAIL_FROM", "hunter2"),
    ("MAIL_FROM", "a@example.com\nBcc: hunter2@example.com"),
    ("MAIL_FROM", "a@example.com, hunter2@example.com"),
    ("MAIL_FROM", "hunter2, Inc <a@example.com>"),
    ("MAIL_FROM", "hunter2@b\u00fccher.example"),
    ("PUBLIC_URL", "hunter2.example.com"),
    ("PUBLIC_URL", "https://byline.example.com/?hunter2"),
    ("TRUSTED_HOSTS", "hunter2:8000"),
    ("TRUSTED_HOSTS", ","),
    ("TRUSTED_HOSTS", "*"),
    ("TRUSTED_HOSTS", "*.*.hunter2"),
    ("TRUSTED_HOSTS", "hunter2*.example.com"),
    ("TRUSTED_HOSTS", "https://hunter2"),
    ("TRUSTED_HOSTS", "user@hunter2"),
    ("TRUSTED_HOSTS", "10.7.7.7/8"),
    ("TRUSTED_HOSTS", "10.7.7/24"),
    ("TRUSTED_HOSTS", "[::1]:80"),
    ("TRUSTED_PROXIES", "hunter2"),
    ("TRUSTED_PROXIES", "10.7.7.7/8"),
    ("CORS_ORIGINS", "hunter2.example.com"),
    ("CORS_ORIGINS", "https://hunter2.example.com/"),
    ("HOST", "http://hunter2"),
    ("PORT", "hunter2"),
    ("PORT", "65537"),
    ("PORT", "-1"),
    ("WORKERS", "0"),
    ("WORKER_THREADS", "257"),
    ("HASH_THREADS", "0"),
    ("METRICS_TOKEN", "hunter2 hunter2"),
    ("LOG_LEVEL", "hunter2"),
    ("LOG_FORMAT", "hunter2"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "hunter2:4317"),
]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)


def _refusal() -> str:
    with pytest.raises(BadConfiguration) as refusal:
        load()
    assert refusal.value.__cause__ is refusal.value.__context__ is None
    return str(refusal.value)


def test_nothing_set_gives_the_documented_defaults(tmp_path):
    documented = DEFAULTS | {"database_url": f"sqlite:///{tmp_path}/instance/byline.db"}
    assert load().model_dump() == documented


def test_logs_are_text_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert load().log_format == "text"


@pytest.mark.parametrize(("name", "value", "meaning"), UNDERSTOOD)
def test_a_good_value_is_understood(monkeypatch, name, value, meaning):
    monkeypatch.setenv(name, value)
    understood = getattr(load(), name.lower())
    assert understood == meaning


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_bad_value_is_one_clear_line_without_it(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    line = _refusal()
    assert line.startswith(f"{name} ")
    assert f", for example {name}=" in line
    assert len(line.splitlines()) == 1
    assert "hunter2" not in line


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_example_is_a_good_value(monkeypatch, name):
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/byline")
    example = Settings.model_fields[name].examples[0]
    monkeypatch.setenv(name.upper(), PEM if name == "jwt_private_key" else example)
    load()


@pytest.mark.parametrize(
    "address", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file:x?mode=memory"]
)
def test_a_database_in_memory_is_refused_with_its_reason(monkeypatch, address):
    monkeypatch.setenv("DATABASE_URL", address)
    assert "in memory, where each thread would see another database" in _refusal()


def test_of_several_bad_values_the_first_is_named(monkeypatch):
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("DATABASE_URL", "x")
    assert _refusal().startswith("DATABASE_URL ")


def test_the_environment_wins_over_the_env_file_and_unknown_names_pass(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("PORT=9000\nWORKERS=2\nCOMPOSE_PROJECT_NAME=x\n")
    monkeypatch.setenv("PORT", "9001")
    settings = load()
    assert (settings.port, settings.workers) == (9001, 2)


def test_an_env_file_in_another_encoding_is_refused(tmp_path):
    (tmp_path / ".env").write_bytes(b"JWT_ISSUER=caf\xe9\n")
    assert _refusal() == ".env must be a readable file in UTF-8"


def test_a_key_may_have_its_line_ends_escaped(monkeypatch):
    monkeypatch.setenv("JWT_PRIVATE_KEY", PEM.replace("\n", "\\n"))
    assert load().jwt_private_key.get_secret_value() == PEM.strip()


def test_only_sqlite_is_embedded(monkeypatch):
    assert load().embedded
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/byline")
    assert not load().embedded


def test_links_lead_to_the_port_that_is_listened_on(monkeypatch):
    monkeypatch.setenv("PORT", "9000")
    assert load().public_url == "http://127.0.0.1:9000"
    monkeypatch.setenv("PUBLIC_URL", "https://byline.example.com")
    assert load().public_url == "https://byline.example.com"


def test_settings_cannot_be_changed_and_show_no_secret(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@db/x")
    monkeypatch.setenv("RATE_LIMIT_STORAGE_URL", "redis://:hunter2@cache")
    monkeypatch.setenv("SMTP_URL", "smtp://u:hunter2@mail")
    monkeypatch.setenv("METRICS_TOKEN", "hunter2")
    monkeypatch.setenv("JWT_PRIVATE_KEY", PEM.replace("MC4C", "hunter2"))
    settings = load()
    assert "hunter2" not in repr(settings) + str(settings)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1
