"""The settings of this service, beside those of any."""

import re
from email.utils import getaddresses
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field

from service.domain import passkeys
from service.engine.settings import (
    BadConfiguration,
    EngineSettings,
    Names,
    Policies,
    number,
    seconds,
    setting,
    switch,
)
from service.engine.settings_types import Because, require
from service.specification import specification


def _product(text: str) -> str:
    require(text.isprintable() and 1 <= len(text) <= 60)
    return text


def _smtp(text: str) -> str:
    url = urlsplit(text)
    require(url.scheme in ("smtp", "smtps") and url.hostname and url.port != 0)
    require(url.path in ("", "/") and not url.fragment and text.isprintable())
    options = parse_qsl(url.query, keep_blank_values=True)
    require(options in ([], [("starttls", "true")], [("starttls", "false")]))
    require(url.scheme == "smtp" or options != [("starttls", "true")])
    return text


def _mailbox(text: str) -> str:
    [(_, address)] = getaddresses([text])
    require(text.isprintable() and re.fullmatch(r"[!-?A-~]+@[!-?A-~]+", address))
    return text


def _passkey_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return passkeys.checked_origins(origins)
    except passkeys.OutsideOfFirst:
        reason = "has a host that is neither the first one nor within it"
    raise Because(reason)


class Settings(EngineSettings):
    """One field per variable of the environment, of the same name in lower case."""

    specification = specification

    rate_limits: Policies = setting(
        {}, "POLICY=LIMIT pairs", "login=20 per minute,mail=5 per hour;20 per hour"
    )
    access_token_ttl: int = seconds(900)
    refresh_token_ttl: int = seconds(2_592_000)
    session_ttl: int = seconds(7_776_000)
    password_min_length: int = number(8, least=8, most=256, example=15)
    require_verified_email: bool = switch(False)
    product_name: Annotated[str, AfterValidator(_product)] = setting(
        "{title}", "a name of 1 to 60 printable characters", "{title}"
    )
    smtp_url: Annotated[str, AfterValidator(_smtp)] | None = setting(
        None,
        "an smtp:// or smtps:// address",
        "smtp://user:password@mail.example.com:587?starttls=true",
        repr=False,
    )
    mail_from: Annotated[str, AfterValidator(_mailbox)] | None = setting(
        None, "one e-mail address", "{title} <{name}@example.com>"
    )
    mail_dir: Path = setting(
        Path("instance/mail"), "a folder for mails while SMTP_URL is not set", "instance/mail"
    )
    user_quota: int = setting(
        1_000_000_000, "a whole number of bytes from 1 to 10^15", "5000000000", ge=1, le=10**15
    )
    hash_threads: int = number(1, least=1, most=256, example=2)
    passkey_origins: Annotated[Names, AfterValidator(_passkey_origins)] = Field(
        default_factory=lambda data: (passkeys.default_origin(data.get("public_url") or ""),),
        description=(
            "https:// origins (http:// for localhost only), separated by commas, "
            "the first of which names the domain of all"
        ),
        examples=["https://example.com,https://app.example.com"],
        validate_default=False,  # a site without passkeys may be served; advice.py warns of it
    )


def load() -> Settings:
    """What the environment and `.env` say; raises BadConfiguration for the first bad setting."""
    settings = Settings.load()
    if settings.smtp_url and "public_url" not in settings.model_fields_set:
        raise BadConfiguration(
            "PUBLIC_URL must be set when SMTP_URL is because links in mails lead there, "
            f"for example PUBLIC_URL=https://{specification.name}.example.com"
        )
    return settings
