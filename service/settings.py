"""Typed settings, read once from the environment and `.env`: a bad one is one clear line."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.engine import settings_types as values


class BadConfiguration(Exception):
    """A setting that cannot be used. Its text is one line, and never holds the value."""


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(values.split)]
WebAddress = Annotated[str, AfterValidator(values.web_address)]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
Format = Literal["json", "text"]


def _setting(default: Any, must_be: str, example: str, **bounds: Any) -> Any:
    """A field whose error reads "NAME must be `must_be`, for example NAME=`example`"."""
    return Field(default, description=must_be, examples=[example], **bounds)


def _number(default: int, least: int, most: int, example: int) -> Any:
    words = f"a whole number from {least} to {most}"
    return _setting(default, words, str(example), ge=least, le=most)


def _seconds(default: int) -> Any:
    ten_years = 315_360_000
    words = f"a whole number of seconds from 1 to {ten_years}"
    return _setting(default, words, str(default), ge=1, le=ten_years)


def _switch(default: bool) -> Any:
    return _setting(default, "true or false", str(not default).lower())


class Settings(BaseSettings):
    """One field per variable of the environment, of the same name in lower case."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _without_white_space(cls, value: Any) -> Any:
        # A shell that sources a file with CRLF leaves the CR at the end of each value.
        return value.strip() if isinstance(value, str) else value

    database_url: Annotated[str, AfterValidator(values.database)] = _setting(
        "sqlite:///instance/byline.db",
        "the address of a PostgreSQL database or of an SQLite file",
        "postgresql://byline:password@localhost/byline",
        repr=False,
    )
    database_replica_url: Annotated[str, AfterValidator(values.replica)] | None = _setting(
        None,
        "the address of a PostgreSQL database that follows DATABASE_URL's",
        "postgresql://byline:password@replica/byline",
        repr=False,
    )
    rate_limit_storage_url: Annotated[str, AfterValidator(values.store)] = _setting(
        "memory://",
        f"memory:// or an address of the kind {', '.join(values.STORES)}",
        "redis://localhost:6379/0",
        repr=False,
    )
    rate_limit_enabled: bool = _switch(True)
    rate_limits: Annotated[dict[str, str], NoDecode, BeforeValidator(values.policies)] = _setting(
        {}, "POLICY=LIMIT pairs", "login=20 per minute,mail=5 per hour;20 per hour"
    )
    rate_limit_client: Annotated[str, AfterValidator(values.one_limit)] | None = _setting(
        None, "one limit", "300 per minute"
    )
    jwt_keys_dir: Path = _setting(Path("instance/keys"), "a folder of PEM files", "instance/keys")
    jwt_private_key: Annotated[SecretStr, BeforeValidator(values.pem)] | None = _setting(
        None, "one private key as PEM, without a passphrase", '"$(cat private.pem)"'
    )
    jwt_issuer: str = _setting("byline", "a name or an address", "byline", min_length=1)
    jwt_audience: str = _setting("byline", "a name or an address", "byline", min_length=1)
    access_token_ttl: int = _seconds(900)
    refresh_token_ttl: int = _seconds(2_592_000)
    session_ttl: int = _seconds(7_776_000)
    password_min_length: int = _number(8, least=8, most=256, example=15)
    require_verified_email: bool = _switch(False)
    product_name: Annotated[str, AfterValidator(values.product)] = _setting(
        "Byline", "a name of 1 to 60 printable characters", "Byline"
    )
    smtp_url: Annotated[str, AfterValidator(values.smtp)] | None = _setting(
        None,
        "an smtp:// or smtps:// address",
        "smtp://user:password@mail.example.com:587?starttls=true",
        repr=False,
    )
    mail_from: Annotated[str, AfterValidator(values.mailbox)] | None = _setting(
        None, "one e-mail address", "Byline <byline@example.com>"
    )
    mail_dir: Path = _setting(
        Path("instance/mail"), "a folder for mails while SMTP_URL is not set", "instance/mail"
    )
    trusted_hosts: Annotated[Names, AfterValidator(values.hosts)] = _setting(
        ("localhost", "127.0.0.1", "[::1]"),
        "host names, *.names, IP addresses or networks without ports, with commas between",
        "byline.example.com,*.example.org,10.0.0.0/8,[::1]",
    )
    trusted_proxies: Annotated[Names, AfterValidator(values.networks)] = _setting(
        (), "IP addresses, networks or unix:, with commas between", "10.0.0.0/8,192.168.1.7"
    )
    cors_origins: Annotated[Names, AfterValidator(values.origins)] = _setting(
        (),
        "scheme://host or scheme://host:port with commas between, or *",
        "https://app.example.com,capacitor://localhost,http://localhost:5173",
    )
    cors_headers: Annotated[Names, AfterValidator(values.header_names)] = _setting(
        (), "names of request headers with commas between", "X-Client-Version,X-Tenant"
    )
    host: str = _setting("127.0.0.1", "a host name or an IP address", "::1", pattern=r"^[\w.:-]+$")
    port: int = _number(8000, least=0, most=65535, example=9000)
    public_url: WebAddress = Field(
        default_factory=lambda data: f"http://127.0.0.1:{data.get('port') or 8000}",
        description="an http:// or https:// address",
        examples=["https://byline.example.com"],
    )
    workers: int = _number(1, least=1, most=256, example=2)
    worker_threads: int = _number(16, least=1, most=256, example=16)
    user_quota: int = _setting(
        1_000_000_000, "a whole number of bytes from 1 to 10^15", "5000000000", ge=1, le=10**15
    )
    hash_threads: int = _number(1, least=1, most=256, example=2)
    shutdown_delay: int = _setting(3, "a whole number of seconds from 0 to 300", "10", ge=0, le=300)
    metrics_dir: Path | None = _setting(
        None, "a folder in which processes of one machine count together", "/run/byline/metrics"
    )
    metrics_token: Annotated[SecretStr, AfterValidator(values.token)] | None = _setting(
        None, "printable ASCII without spaces", "a-long-random-word"
    )
    log_level: Annotated[Level, BeforeValidator(str.upper)] = _setting(
        "INFO", "DEBUG, INFO, WARNING, ERROR or CRITICAL", "INFO"
    )
    log_format: Annotated[Format, BeforeValidator(str.lower)] = Field(
        default_factory=lambda: "text" if sys.stderr.isatty() else "json",
        description="json or text",
        examples=["json"],
    )
    otel_exporter_otlp_endpoint: WebAddress | None = _setting(
        None, "an http:// or https:// address", "http://localhost:4318"
    )

    @property
    def embedded(self) -> bool:
        """Whether the database is the SQLite file beside the service."""
        return self.database_url.startswith("sqlite:")


def load() -> Settings:
    """Read the environment, then `.env` in the working directory for what it leaves open.

    Raises BadConfiguration for the first bad setting, in the order they stand above.
    """
    try:
        settings, first = Settings(), None
    except ValidationError as errors:
        settings, first = None, errors.errors(include_input=False)[0]
    except (OSError, ValueError):  # of the file: a bad value is a ValidationError
        settings, first = None, None
    # Raised outside the handlers, so that no traceback carries the values along.
    if first:
        raise BadConfiguration(_line(first))
    if settings is None or Path(".env").is_dir():
        raise BadConfiguration(".env must be a readable file in UTF-8")
    if settings.smtp_url and "public_url" not in settings.model_fields_set:
        raise BadConfiguration(
            "PUBLIC_URL must be set beside SMTP_URL because links in mails lead there, "
            "for example PUBLIC_URL=https://byline.example.com"
        )
    return settings


def given_names() -> set[str]:
    """What is set in the environment and in `.env`, whether it is a setting or not."""
    in_file = dotenv_values(".env") if Path(".env").is_file() else {}
    return {name.upper() for name in (*os.environ, *in_file)}


def _line(error: ErrorDetails) -> str:
    field = Settings.model_fields[str(error["loc"][0])]
    name = str(error["loc"][0]).upper()
    reason = error.get("ctx", {}).get("error")
    why = f"{reason}: it " if isinstance(reason, values.Because) else ""
    example = (field.examples or [""])[0]
    return f"{name} {why}must be {field.description}, for example {name}={example}"
