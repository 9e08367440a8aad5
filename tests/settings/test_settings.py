"""Settings come typed from the environment, and a bad one is one line that keeps its secret."""

import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import make_url

from service.engine.settings import BadConfiguration
from service.engine.tokens.keys import KeyRing
from service.settings import Settings, load
from tests.kit.values import DEFAULTS, PEM, REFUSED, UNDERSTOOD


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
    monkeypatch.setenv("PUBLIC_URL", "https://byline.example.com")  # SMTP_URL asks for it
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


@pytest.mark.parametrize("name", ["PUBLIC_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"])
@pytest.mark.parametrize("user", ["ops:hunter2@", "hunter2@", ":hunter2@", "@"])
def test_an_address_with_a_password_is_refused_with_its_reason(monkeypatch, name, user):
    monkeypatch.setenv(name, f"https://{user}byline.example.com/x")
    line = _refusal()
    assert line.startswith(
        f"{name} has a user or password in it: it must be an http:// or https://"
    )
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "limits",
    ["5/hour|20/day", "5/hour:;20/day", "5/hour:|20/day", "5/hour;", "5/hour;;20/day", "5;20/day"],
)
def test_several_limits_are_separated_by_semicolons_only(monkeypatch, limits):
    monkeypatch.setenv("RATE_LIMITS", f"mail={limits}")
    assert _refusal().startswith("RATE_LIMITS must be POLICY=LIMIT pairs, for example ")
    monkeypatch.setenv("RATE_LIMITS", "mail=5/hour;20/day,login=7/minute")
    assert load().rate_limits == {"mail": "5/hour;20/day", "login": "7/minute"}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_example_is_a_good_value(monkeypatch, name):
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/byline")
    monkeypatch.setenv("PUBLIC_URL", "https://byline.example.com")
    example = Settings.model_fields[name].examples[0]
    monkeypatch.setenv(name.upper(), PEM if name == "jwt_private_key" else example)
    load()


@pytest.mark.parametrize(
    "address", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file:x?mode=memory"]
)
def test_a_database_in_memory_is_refused_with_its_reason(monkeypatch, address):
    monkeypatch.setenv("DATABASE_URL", address)
    assert "in memory, but each thread would see a different database" in _refusal()


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


def test_an_env_file_that_is_a_folder_is_refused(tmp_path):
    (tmp_path / ".env").mkdir()
    assert _refusal() == ".env must be a readable file in UTF-8"


@pytest.mark.parametrize("public_url", [None, "", " "])
def test_smtp_url_requires_public_url(monkeypatch, public_url):
    monkeypatch.setenv("SMTP_URL", "smtp://u:hunter2@mail.example.com")
    if public_url is not None:
        monkeypatch.setenv("PUBLIC_URL", public_url)
    line = _refusal()
    assert "PUBLIC_URL" in line
    assert line.endswith(", for example PUBLIC_URL=https://byline.example.com")
    assert "hunter2" not in line
    monkeypatch.setenv("PUBLIC_URL", "http://localhost:8000")
    load()


def test_a_key_may_have_its_line_ends_escaped(monkeypatch):
    monkeypatch.setenv("JWT_PRIVATE_KEY", PEM.replace("\n", "\\n"))
    assert load().jwt_private_key.get_secret_value() == PEM.strip()


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\\n"])
def test_a_key_may_be_as_openssl_writes_it(monkeypatch, line_end):
    block = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    curve = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    monkeypatch.setenv("JWT_PRIVATE_KEY", (curve + block.decode()).replace("\n", line_end))
    assert len(KeyRing.from_pem(load().jwt_private_key.get_secret_value())) == 1


def test_a_file_of_sqlite_may_have_a_percent_sign_in_its_name(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "sqlite:////srv/100%/byline.db")
    assert make_url(load().database_url).database == "/srv/100%/byline.db"


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
    monkeypatch.setenv("PUBLIC_URL", "https://byline.example.com")
    monkeypatch.setenv("METRICS_TOKEN", "hunter2")
    monkeypatch.setenv("JWT_PRIVATE_KEY", PEM.replace("MC4C", "hunter2"))
    settings = load()
    assert "hunter2" not in repr(settings) + str(settings)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("RATE_LIMIT_ENABLED", "false", False),
        ("REQUIRE_VERIFIED_EMAIL", "true", True),
        ("LOG_LEVEL", "warning", "WARNING"),
        ("LOG_FORMAT", "text", "text"),
        ("WORKERS", "2", 2),
        ("HOST", "::1", "::1"),
        ("TRUSTED_PROXIES", "10.0.0.0/8", ("10.0.0.0/8",)),
    ],
)
def test_a_file_with_windows_line_ends_may_be_sourced(monkeypatch, name, value, read):
    monkeypatch.setenv(name, f"{value}\r")
    assert getattr(load(), name.lower()) == read
    monkeypatch.setenv("METRICS_TOKEN", "secret\r")
    assert load().metrics_token.get_secret_value() == "secret"


@pytest.mark.parametrize(
    ("site", "origin"),
    [
        ("http://127.0.0.1:9000", "http://localhost:9000"),  # an address cannot have passkeys
        ("http://[::1]:80/byline", "http://localhost"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("https://byline.example.com:443/x/y", "https://byline.example.com"),
        ("https://Byline.example.com:8443", "https://byline.example.com:8443"),
    ],
)
def test_passkeys_are_used_where_the_links_of_mails_lead(monkeypatch, site, origin):
    monkeypatch.setenv("PUBLIC_URL", site)
    assert load().passkey_origins == (origin,)


def test_an_origin_outside_of_the_first_ones_domain_is_refused_with_its_reason(monkeypatch):
    monkeypatch.setenv("PASSKEY_ORIGINS", "https://app.example.com,https://www.example.com")
    assert "has a host that is neither the first one nor within it" in _refusal()
