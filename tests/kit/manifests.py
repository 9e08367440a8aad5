"""Reads the files of deploy/ as data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from service.application import create_flask
from service.engine.database.transaction import READINESS
from service.engine.serve.server import UVICORN
from service.engine.work import background
from service.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
# How long a server may take to stop after SHUTDOWN_DELAY.
FINISH = UVICORN["timeout_graceful_shutdown"] + background.STOP_TIMEOUT_SECONDS  # seconds
NOT_OURS = {"POD_IP", "MALLOC_ARENA_MAX"}


def documents(name: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all((DEPLOY / name).read_text()) if document]


def environment(name: str) -> dict[str, str]:
    """The variables that an environment file sets."""
    lines = (DEPLOY / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def seconds(time: str) -> int:
    number, unit = re.fullmatch(r"([0-9]+)(s|min)", time).groups()
    return int(number) * {"s": 1, "min": 60}[unit]


def configured(environment: dict[str, Any]) -> Settings:
    """The settings of an environment, all of whose variables must be known."""
    known = {name.upper() for name in Settings.model_fields} | NOT_OURS
    assert set(environment) <= known
    given = {name.lower(): str(value) for name, value in environment.items() if value != ""}
    return Settings(_env_file=None, **given)


def connections(settings: Settings) -> int:
    """How many database connections one process opens at most."""
    config = create_flask(settings).config
    engines = [config["SQLALCHEMY_ENGINE_OPTIONS"], config["SQLALCHEMY_BINDS"][READINESS]]
    return sum(options["pool_size"] + options["max_overflow"] for options in engines)
