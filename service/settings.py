"""The settings of this service, beside those of any."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from service.engine import settings_types as types
from service.engine.settings import (
    BadConfiguration,
    EngineSettings,
    number,
    seconds,
    setting,
    switch,
)
from service.specification import specification


class Settings(EngineSettings):
    """One field per variable of the environment, of the same name in lower case."""

    specification = specification

    access_token_ttl: int = seconds(900)
    refresh_token_ttl: int = seconds(2_592_000)
    session_ttl: int = seconds(7_776_000)
    password_min_length: int = number(8, least=8, most=256, example=15)
    require_verified_email: bool = switch(False)
    product_name: Annotated[str, AfterValidator(types.product)] = setting(
        "{title}", "a name of 1 to 60 printable characters", "{title}"
    )
    smtp_url: Annotated[str, AfterValidator(types.smtp)] | None = setting(
        None,
        "an smtp:// or smtps:// address",
        "smtp://user:password@mail.example.com:587?starttls=true",
        repr=False,
    )
    mail_from: Annotated[str, AfterValidator(types.mailbox)] | None = setting(
        None, "one e-mail address", "{title} <{name}@example.com>"
    )
    mail_dir: Path = setting(
        Path("instance/mail"), "a folder for mails while SMTP_URL is not set", "instance/mail"
    )
    user_quota: int = setting(
        1_000_000_000, "a whole number of bytes from 1 to 10^15", "5000000000", ge=1, le=10**15
    )
    hash_threads: int = number(1, least=1, most=256, example=2)


def load() -> Settings:
    """What the environment and `.env` say; raises BadConfiguration for the first bad setting."""
    settings = Settings.load()
    if settings.smtp_url and "public_url" not in settings.model_fields_set:
        raise BadConfiguration(
            "PUBLIC_URL must be set beside SMTP_URL because links in mails lead there, "
            f"for example PUBLIC_URL=https://{specification.name}.example.com"
        )
    return settings
