"""The settings of any service, read once from the environment and `.env`: a bad one is one clear
line."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

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

from service.engine import settings_database as databases
from service.engine import settings_types as types
from service.engine.spec.specification import Specification


class BadConfiguration(Exception):
    """A setting that cannot be used. Its text is one line, and never holds the value."""


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(types.split)]
Policies = Annotated[dict[str, str], NoDecode]
WebAddress = Annotated[str, AfterValidator(types.web_address)]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
Format = Literal["json", "text"]


def setting(default: Any, must_be: str, example: str, **bounds: Any) -> Any:
    """A field whose error reads "NAME must be `must_be`, for example NAME=`example`"."""
    return Field(default, description=must_be, examples=[example], **bounds)


def number(default: int, least: int, most: int, example: int) -> Any:
    words = f"a whole number from {least} to {most}"
    return setting(default, words, str(example), ge=least, le=most)


def seconds(default: int) -> Any:
    ten_years = 315_360_000
    words = f"a whole number of seconds from 1 to {ten_years}"
    return setting(default, words, str(default), ge=1, le=ten_years)


def switch(default: bool) -> Any:
    return setting(default, "true or false", str(not default).lower())


class EngineSettings(BaseSettings):
    """One field per variable of the environment, of the same name in lower case.

    `{name}` and `{title}` in a default or an example stand for those of the service.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )

    specification: ClassVar[Specification]  # whose limits the settings may replace

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        for field in cls.model_fields.values():
            field.default = cls._named(field.default)
            field.examples = [cls._named(example) for example in field.examples or []]
        cls.model_rebuild(force=True)

    @classmethod
    def _named(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        specification = cls.specification
        return value.replace("{name}", specification.name).replace("{title}", specification.title)

    @field_validator("*", mode="before")
    @classmethod
    def _without_white_space(cls, value: Any) -> Any:
        # A shell that sources a file with CRLF leaves the CR at the end of each value.
        return value.strip() if isinstance(value, str) else value

    database_url: Annotated[str, AfterValidator(databases.database)] = setting(
        "sqlite:///instance/{name}.db",
        "the address of a PostgreSQL database or of an SQLite file",
        "postgresql://{name}:password@localhost/{name}",
        repr=False,
    )
    database_replica_url: Annotated[str, AfterValidator(databases.replica)] | None = setting(
        None,
        "the address of a PostgreSQL database that follows DATABASE_URL's",
        "postgresql://{name}:password@replica/{name}",
        repr=False,
    )
    rate_limit_storage_url: Annotated[str, AfterValidator(types.store)] = setting(
        "memory://",
        f"memory:// or an address of the kind {', '.join(types.STORES)}",
        "redis://localhost:6379/0",
        repr=False,
    )
    rate_limit_enabled: bool = switch(True)
    rate_limits: Policies = setting({}, "POLICY=LIMIT pairs", "client=600 per minute")
    rate_limit_client: Annotated[str, AfterValidator(types.one_limit)] | None = setting(
        None, "one limit", "300 per minute"
    )
    jwt_keys_dir: Path = setting(Path("instance/keys"), "a folder of PEM files", "instance/keys")
    jwt_private_key: Annotated[SecretStr, BeforeValidator(types.pem)] | None = setting(
        None, "one private key as PEM, without a passphrase", '"$(cat private.pem)"'
    )
    jwt_issuer: str = setting("{name}", "a name or an address", "{name}", min_length=1)
    jwt_audience: str = setting("{name}", "a name or an address", "{name}", min_length=1)
    trusted_hosts: Annotated[Names, AfterValidator(types.hosts)] = setting(
        ("localhost", "127.0.0.1", "[::1]"),
        "host names, *.names, IP addresses or networks without ports, separated by commas",
        "{name}.example.com,*.example.org,10.0.0.0/8,[::1]",
    )
    trusted_proxies: Annotated[Names, AfterValidator(types.networks)] = setting(
        (), "IP addresses, networks or unix:, separated by commas", "10.0.0.0/8,192.168.1.7"
    )
    cors_origins: Annotated[Names, AfterValidator(types.origins)] = setting(
        (),
        "scheme://host or scheme://host:port, separated by commas, or *",
        "https://app.example.com,capacitor://localhost,http://localhost:5173",
    )
    cors_headers: Annotated[Names, AfterValidator(types.header_names)] = setting(
        (), "names of request headers, separated by commas", "X-Client-Version,X-Tenant"
    )
    host: str = setting("127.0.0.1", "a host name or an IP address", "::1", pattern=r"^[\w.:-]+$")
    port: int = number(8000, least=0, most=65535, example=9000)
    public_url: WebAddress = Field(
        default_factory=lambda data: f"http://127.0.0.1:{data.get('port') or 8000}",
        description="an http:// or https:// address",
        examples=["https://{name}.example.com"],
    )
    workers: int = number(1, least=1, most=256, example=2)
    worker_threads: int = number(16, least=1, most=256, example=16)
    shutdown_delay: int = setting(3, "a whole number of seconds from 0 to 300", "10", ge=0, le=300)
    metrics_dir: Path | None = setting(
        None,
        "a folder in which the processes of a machine share their counts",
        "/run/{name}/metrics",
    )
    metrics_token: Annotated[SecretStr, AfterValidator(types.token)] | None = setting(
        None, "printable ASCII without spaces", "a-long-random-word"
    )
    log_level: Annotated[Level, BeforeValidator(str.upper)] = setting(
        "INFO", "DEBUG, INFO, WARNING, ERROR or CRITICAL", "INFO"
    )
    log_format: Annotated[Format, BeforeValidator(str.lower)] = Field(
        default_factory=lambda: "text" if sys.stderr.isatty() else "json",
        description="json or text",
        examples=["json"],
    )
    otel_exporter_otlp_endpoint: WebAddress | None = setting(
        None, "an http:// or https:// address", "http://localhost:4318"
    )

    @field_validator("rate_limits", mode="before")
    @classmethod
    def _known_policies(cls, value: Any) -> Any:
        return types.policies(value, cls.specification.policies)

    @property
    def embedded(self) -> bool:
        """Whether the database is the SQLite file beside the service."""
        return self.database_url.startswith("sqlite:")

    @classmethod
    def load(cls) -> Self:
        """Read the environment, then `.env` in the working directory for what it leaves open.

        Raises BadConfiguration for the first bad setting, in the order of the fields.
        """
        try:
            settings, first = cls(), None
        except ValidationError as errors:
            settings, first = None, errors.errors(include_input=False)[0]
        except (OSError, ValueError):  # of the file: a bad value is a ValidationError
            settings, first = None, None
        # Raised outside the handlers, so that no traceback carries the values along.
        if first:
            raise BadConfiguration(cls._line(first))
        if settings is None or Path(".env").is_dir():
            raise BadConfiguration(".env must be a readable file in UTF-8")
        return settings

    @classmethod
    def _line(cls, error: ErrorDetails) -> str:
        field = cls.model_fields[str(error["loc"][0])]
        name = str(error["loc"][0]).upper()
        reason = error.get("ctx", {}).get("error")
        why = f"{reason}: it " if isinstance(reason, types.Because) else ""
        example = (field.examples or [""])[0]
        return f"{name} {why}must be {field.description}, for example {name}={example}"


def given_names() -> set[str]:
    """What is set in the environment and in `.env`, whether it is a setting or not."""
    in_file = dotenv_values(".env") if Path(".env").is_file() else {}
    return {name.upper() for name in (*os.environ, *in_file)}
