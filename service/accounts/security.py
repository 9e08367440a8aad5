"""Checks passwords, and looks up the session behind a token in one statement."""

from __future__ import annotations

import logging
from typing import Any

import flask
import sqlalchemy as sa

from service.accounts import personal_tokens
from service.accounts.audit import record
from service.accounts.guard import guard
from service.caller import Caller
from service.domain import passwords
from service.engine.database.transaction import Row, Transaction, commit, db
from service.engine.observe.metrics import count_on_commit, metrics
from service.engine.problems import (
    Problem,
    RateLimited,
    Unavailable,
)
from service.engine.tokens.tokens import ACCESS, Claims
from service.models import Credentials, Session
from service.problems import (
    AccountDisabled,
    CurrentPasswordWrong,
    EmailUnverified,
    InvalidCredentials,
    SessionRevoked,
)

logger = logging.getLogger(__name__)


def prove(email_key: str, password: str) -> dict[str, Any]:
    """The Account with this key of an address and this password.

    Raises `InvalidCredentials`, `RateLimited` after too many wrong passwords, and, only after a
    correct one, `AccountDisabled` or `EmailUnverified`.
    """
    user = Credentials.of(email_key)
    try:
        with guard().sign_in(user.id if user else None, email_key):
            # An unknown address is compared with a dummy hash and recorded, to take the same time.
            if not passwords.matches(user.password_hash if user else None, password) or not user:
                raise InvalidCredentials
    except RateLimited:
        metrics().count("logins_total", "refused")
        raise
    except InvalidCredentials as wrong:
        # After the block: the guess stays counted.
        raise failed(user.id if user else None, wrong) from None
    check_admission(user)
    stored = user.password_hash
    if passwords.outdated(stored):
        fresh = passwords.hashed(password)
        stored = fresh if Credentials.change_password(user.id, stored, fresh) else stored
    account = Credentials.admitted(user.id, stored)
    if account is None:
        raise failed(user.id, InvalidCredentials())  # the account has changed since the comparison
    return account


def check_admission(user: Row) -> None:
    """Raise `AccountDisabled` or `EmailUnverified` for a user, with `id`, `disabled` and
    `email_verified`, who has proved who they are and may not sign in."""
    if user.disabled:
        raise failed(user.id, AccountDisabled())
    if flask.current_app.config["REQUIRE_VERIFIED_EMAIL"] and not user.email_verified:
        raise failed(user.id, EmailUnverified())


def failed(user_id: str | None, problem: Problem) -> Problem:
    """The problem, after recording and counting a sign-in that failed with it; None stands for an
    unknown account. Commits, because the answer is a refusal."""
    record("login-failed", user_id)
    count_on_commit("logins_total", "failed")
    commit()
    return problem


def confirm(caller: Caller, password: str) -> str:
    """The stored hash of the caller's current password, if this is that password.

    Raises `CurrentPasswordWrong`, or `RateLimited` after too many wrong ones.
    """
    stored = Credentials.password_hash_of(caller.id)
    with guard().confirmation(caller.session_id, caller.id):
        if stored is None or not passwords.matches(stored, password):
            raise CurrentPasswordWrong
    return stored


def new_hash(password: str, owner: Caller | Row) -> str:
    """The hash of a new password of `owner`, who has an `email` and a `username`.

    Raises `WeakPassword`.
    """
    minimum = flask.current_app.config["PASSWORD_MIN_LENGTH"]
    passwords.check_strength(password, minimum=minimum, email=owner.email, username=owner.username)
    return passwords.hashed(password)


def caller(claims: Claims, transaction: Transaction | None = None) -> Caller:
    """The user behind the claims, and the session; raises `SessionRevoked` if that has ended, and
    for a personal token what `personal_tokens.bearer` does.

    Given the request's `transaction`, which must be unused so far, it records the first use of an
    access token of the newest generation.
    """
    if claims.is_personal:
        return personal_tokens.bearer(claims, transaction)
    row = Session.live(claims.session_id, claims.subject)
    if row is None:
        raise SessionRevoked
    found = _caller(claims, row)
    is_first = claims.typ == ACCESS and row.seen < found.generation <= row.generation
    if transaction is None or not is_first:
        return found
    transaction.close()  # otherwise SQLite's single writer would wait for itself
    _note_first_use(found)
    return caller(claims)  # the session may have ended meanwhile


def _caller(claims: Claims, user: Row) -> Caller:
    return Caller(
        id=claims.subject,
        email=user.email,
        username=user.username,
        role=user.role,
        session_id=claims.session_id,
        session_end=user.expires_at,
        generation=claims.generation or 0,
        authenticated_at=user.authenticated_at,
        methods=user.methods,
        by_cookie=claims.by_cookie,
        row=user,
    )


def _note_first_use(caller: Caller) -> None:
    """Record that the pair of the caller's generation has arrived, which invalidates the previous
    refresh token.

    It has a transaction of its own because it stays even if the request is refused. If it fails,
    the next request tries again, so reads succeed while nothing can be written.
    """
    try:
        with db.transaction() as transaction:
            Session.see(caller)
            transaction.commit()
    except (sa.exc.SQLAlchemyError, Unavailable) as error:
        logger.warning("could not record the first use of a token: %s", type(error).__name__)
