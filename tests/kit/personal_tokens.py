"""Personal tokens of users, made without the operation, which would ask for a recent sign-in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import update

from service.accounts.personal_tokens import form, stored
from service.engine.database.transaction import db
from service.engine.ids import rfc3339
from service.engine.tokens.personal import hashed
from service.models import PersonalToken
from service.specification import specification
from tests.kit.serving import Person, Server

SCOPES: list[str] = specification.document["components"]["schemas"]["Scope"]["enum"]
DAY = 86_400


def give(person: Person, *scopes: str, expires_in: int = DAY, name: str = "A program") -> str:
    """A new personal token of a user, with all scopes if none is given."""
    token, server = form().new(), person.server
    with server.flask.app_context(), db.transaction() as transaction:
        PersonalToken.create(
            person.id, stored(token), name=name, scopes=scopes or SCOPES, expires_in=expires_in
        )
        transaction.commit()
    return token


def program(person: Person, *scopes: str) -> httpx.Client:
    """A client with a new personal token of a user."""
    return person.server.client(give(person, *scopes))


def change(server: Server, token: str, **columns: Any) -> None:
    """Change the row of a token, as if it had been used or made at another time."""
    server.execute(
        update(PersonalToken).where(PersonalToken.token_hash == hashed(token)).values(columns)
    )


def expire(server: Server, token: str) -> None:
    change(server, token, expires_at=rfc3339(datetime.now(UTC) - timedelta(seconds=1)))


def revoke(person: Person, token: str) -> None:
    """End a token as its owner does."""
    [one] = [
        one for one in person.http.get("/auth/tokens").json() if token.startswith(one["prefix"])
    ]
    assert UUID(one["id"])
    assert person.http.delete(f"/auth/tokens/{one['id']}").status_code == 204
