"""Personal tokens that an operator makes, lists and ends from a shell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from service.accounts.personal_tokens import form, stored, told
from service.domain import addresses
from service.engine.database.transaction import db
from service.engine.ids import now
from service.engine.problems import InvalidRequest, NotFound
from service.models import AuditEvent, Credentials, Mail, PersonalToken, User, UserAddress, mails
from service.models.personal_tokens import MAX_TOKENS_PER_USER

_SECONDS_PER_DAY = 86_400


def create(
    email: str, scopes: Sequence[str], *, name: str, days: int
) -> tuple[str, dict[str, Any]]:
    """A new token of the user with this address, and the rest of the IssuedPersonalToken.

    The owner is told, as if they had made it. Needs an application context; raises `InvalidRequest`
    or `TooManyTokens`.
    """
    user_id, token = _user_id(email), form().new()
    if not (name.isprintable() and 1 <= len(name) <= 100):
        raise InvalidRequest("A name has 1 to 100 printable characters.")
    with db.transaction() as transaction:
        if User.standing(UUID(user_id))["disabled"]:
            raise InvalidRequest("The account with this address is disabled.")
        row = PersonalToken.create(
            user_id, stored(token), name=name, scopes=scopes, expires_in=days * _SECONDS_PER_DAY
        )
        AuditEvent.record("personal-token-created", actor_id=None, user_id=user_id, ip="")
        if recipient := UserAddress.verified(user_id):
            facts = {"at": now(), "ip": "", **told(row["prefix"])}
            Mail.queue(mails.TOKEN_CREATED, recipient, user_id, facts)
        transaction.commit()
    return token, row


def listed(email: str) -> list[dict[str, Any]]:
    """The living PersonalTokens of the user with this address, newest first.

    Needs an application context; raises `InvalidRequest`.
    """
    user_id = _user_id(email)
    with db.transaction(writes=False):
        return PersonalToken.of(user_id)(MAX_TOKENS_PER_USER).rows


def revoke(token_id: UUID) -> None:
    """End a token, whoever's it is; needs an application context, raises `NotFound`."""
    with db.transaction() as transaction:
        ended = PersonalToken.revoke_by_id(token_id)
        if ended is None:
            raise NotFound("There is no token with this id.")
        user_id = ended.user_id
        AuditEvent.record("personal-token-revoked", actor_id=None, user_id=user_id, ip="")
        transaction.commit()


def _user_id(email: str) -> str:
    known = Credentials.of(addresses.key(addresses.checked(email)))
    if known is None:
        raise InvalidRequest("There is no account with this address.")
    return str(known.id)
