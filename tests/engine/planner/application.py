"""Puts the planner together from the engine's parts and its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from service.engine import assemble
from service.engine.tokens.tokens import Claims
from tests.engine.planner.models import KeptAnswer
from tests.engine.planner.settings import Settings

HERE = Path(__file__).parent


class Owner(NamedTuple):
    id: str
    role: str = "owner"
    is_admin: bool = False


def create_flask(settings: Settings) -> Any:
    return assemble.create_flask(settings, __package__, migrations=HERE / "alembic")


def create_app(settings: Settings) -> Any:
    return assemble.Assembly(settings, create_flask(settings)).app(
        handlers=f"{__package__}.handlers",
        static=HERE / "static",
        caller=caller,
        kept_answers=KeptAnswer,
    )


def caller(claims: Claims, _transaction: Any) -> Owner:
    """Whoever has a token: the planner has no accounts."""
    return Owner(claims.subject)
