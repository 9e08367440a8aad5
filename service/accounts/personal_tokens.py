"""Personal tokens: whom one stands for, how one is made, and what ends it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

import flask
import sqlalchemy as sa

from service.accounts.audit import record
from service.caller import Caller
from service.engine.database.transaction import Transaction, db
from service.engine.observe.metrics import count_on_commit
from service.engine.problems import InvalidToken, TokenExpired, Unavailable
from service.engine.tokens.personal import PersonalTokens, hashed
from service.engine.tokens.tokens import Claims
from service.mail import outbox
from service.models import PersonalToken, Session, User, mails
from service.models.personal_tokens import Secret
from service.problems import EmailUnverified, OneTimeTokenInvalid, SessionRevoked
from service.specification import specification

logger = logging.getLogger(__name__)


@cache
def form() -> PersonalTokens:
    """The form that personal tokens have here."""
    return PersonalTokens(str(specification.token_prefix))


def bearer(claims: Claims, transaction: Transaction | None = None) -> Caller:
    """The user of a personal token, with no more rights than at this moment.

    Given the request's `transaction`, which must be unused so far, it records the first use in an
    hour. Raises `InvalidToken`, `TokenExpired` or `EmailUnverified`.
    """
    row = PersonalToken.bearer(claims.id)
    if row is None:
        raise InvalidToken
    if row.is_expired:
        raise TokenExpired
    if not row.email_verified and flask.current_app.config["REQUIRE_VERIFIED_EMAIL"]:
        raise EmailUnverified
    if transaction is None or row.is_noted:
        return Caller(
            id=row.id,
            email=row.email,
            username=row.username,
            role=row.role,
            session_id="",
            session_end="",
            scopes=frozenset(row.scopes.split()),
            row=row,
        )
    transaction.close()  # otherwise SQLite's single writer would wait for itself
    _note_use(row.token_id)
    return bearer(claims)  # it may have been revoked meanwhile


def issue(caller: Caller, *, name: str, scopes: Sequence[str], expires_in: int) -> dict[str, Any]:
    """A new IssuedPersonalToken of the caller.

    Raises `TooManyTokens`, or `SessionRevoked` if the session has ended: a reset of the password
    that happens at the same time would not end the new token.
    """
    User.standing(UUID(caller.id))  # locked from here on
    if not Session.live(caller.session_id, caller.id):
        raise SessionRevoked
    token = form().new()
    made = PersonalToken.create(
        caller.id, stored(token), name=name, scopes=scopes, expires_in=expires_in
    )
    record("personal-token-created", caller.id)
    outbox.notify(mails.TOKEN_CREATED, caller.id, **told(made["prefix"]))
    count_on_commit("personal_tokens_total", "created")
    return {"token": token, **made}


def end_leaked(token: str) -> None:
    """End a token that somebody has found, and tell its owner; nothing happens if it has ended.

    Raises `OneTimeTokenInvalid` for a text that is no personal token, which anybody can tell.
    """
    try:
        claims = form().claims(token)
    except InvalidToken:
        raise OneTimeTokenInvalid from None
    ended = PersonalToken.revoke_by_hash(claims.id)
    if ended:
        record("personal-token-leaked", ended.user_id)
        # The finder may be another person, whose address is not for the owner.
        outbox.notify(mails.TOKEN_LEAKED, ended.user_id, **told(ended.prefix), ip="")
        count_on_commit("personal_tokens_total", "leaked")


def stored(token: str) -> Secret:
    """What is stored of a token."""
    return Secret(hashed(token), form().shown(token))


def told(prefix: str) -> dict[str, Any]:
    """What mails say of a token: not its name, or a thief could have the service mail any text to
    the owner of the account."""
    return {"tokens": [f"{prefix}..."]}


def _note_use(token_id: str) -> None:
    """Record a use in a transaction of its own, because it stays even if the request is refused. If
    it fails, the next request tries again, so reads succeed while nothing can be written."""
    try:
        with db.transaction() as transaction:
            PersonalToken.note_use(token_id)
            transaction.commit()
    except (sa.exc.SQLAlchemyError, Unavailable) as error:
        logger.warning("could not record the use of a token: %s", type(error).__name__)
