"""Puts the planner together from the engine's parts and its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from service.engine import assemble
from service.engine.problems import InvalidToken
from service.engine.spec import flask_app
from service.engine.tokens.tokens import PERSONAL, Claims
from tests.engine.planner.models import KeptAnswer
from tests.engine.planner.settings import Settings

HERE = Path(__file__).parent
PERSONAL_TOKENS: dict[str, Owner] = {}  # by hash; tests give them out


class Owner(NamedTuple):
    id: str
    role: str = "owner"
    is_admin: bool = False
    scopes: frozenset[str] = frozenset()


def create_flask(settings: Settings) -> Any:
    return flask_app.create_flask(settings, __package__, migrations=HERE / "alembic")


def create_app(settings: Settings) -> Any:
    return assemble.Assembly(settings, create_flask(settings)).app(
        handlers=f"{__package__}.handlers",
        static=HERE / "static",
        caller=caller,
        kept_answers=KeptAnswer,
    )


def caller(claims: Claims, _transaction: Any) -> Owner:
    """Whoever has a token: the planner has no accounts."""
    if claims.typ != PERSONAL:
        return Owner(claims.subject)
    if claims.id not in PERSONAL_TOKENS:
        raise InvalidToken
    return PERSONAL_TOKENS[claims.id]
