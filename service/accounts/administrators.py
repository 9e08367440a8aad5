"""Makes an administrator from a shell, which is the only way to get the first one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from service.domain import accounts, addresses, passwords
from service.engine.database.statements import Prepared
from service.engine.database.transaction import db
from service.engine.database.types import Time
from service.engine.ids import now
from service.engine.problems import InvalidRequest
from service.models import AuditEvent, Credentials, MailedToken, PersonalToken, Session, User
from service.specification import specification


def make_admin(
    email: str, username: str | None, *, password: Callable[[], str], minimum: int
) -> bool:
    """Make the account of an address an administrator with this password; True if it existed.

    A new account counts as verified. An existing one must be verified and enabled, because anybody
    may have registered the address; its sessions and mailed tokens end. Needs an application
    context; raises `InvalidRequest`, `WeakPassword` or `UsernameTaken`.
    """
    if username is not None:
        _check_username(username)
    key = addresses.key(addresses.checked(email))
    known = Credentials.of(key)
    if known:
        _check_is_proved(known)
    chosen = password()
    passwords.check_strength(chosen, minimum=minimum, email=email, username=username)
    hashed = passwords.hashed(chosen)
    with db.transaction() as transaction:
        if known:
            _promote(known.id, hashed)
        else:
            name = username or accounts.random_username()
            _create_admin(email=email, email_key=key, username=name, password_hash=hashed)
        transaction.commit()
    return known is not None


def _check_username(username: str) -> None:
    pattern = specification.document["components"]["schemas"]["Username"]["pattern"]
    if not re.fullmatch(pattern, username):
        raise InvalidRequest("A user name has 3 to 30 characters from a-z, 0-9, - and _.")


_standing = Prepared(
    sa.select(User.role, User.email_verified, User.disabled)
    .where(User.id == bindparam("of"))
    .with_for_update()
)
_make_admin = Prepared(
    sa.update(User)
    .where(User.id == bindparam("of"))
    .values(
        role="admin",
        email_verified=True,
        password_hash=bindparam("hash"),
        version=User.version + 1,
        updated_at=bindparam("moment", type_=Time),
    )
)


def _promote(user_id: str, hashed: str) -> None:
    """Promote an existing account, and end its sessions and mailed tokens."""
    before = _standing.first(of=user_id)
    _check_is_proved(before)
    _make_admin.write(of=user_id, hash=hashed, moment=now())
    Session.end_all(user_id)
    PersonalToken.revoke_all(user_id)
    MailedToken.revoke_all(user_id)
    actions = [] if before and before.role == "admin" else ["role-changed"]
    for action in (*actions, "password-changed"):
        AuditEvent.record(action, actor_id=None, user_id=user_id, ip="")


def _create_admin(**account: str) -> None:
    user_id = User.create(**account)["id"]
    _make_admin.write(of=user_id, hash=account["password_hash"], moment=now())
    AuditEvent.record("user-created", actor_id=None, user_id=user_id, ip="")


def _check_is_proved(account: Any) -> None:
    """Raise InvalidRequest, with advice, for an account that may belong to a stranger."""
    if account is None:
        raise InvalidRequest("The account has just been deleted: run the command again.")
    if account.disabled:
        raise InvalidRequest(
            "The account with this address is disabled. Have an administrator enable it first, or"
            " take another address."
        )
    if not account.email_verified:
        raise InvalidRequest(
            "The account with this address has never confirmed it, so it may be a stranger's. If"
            " the mailbox is yours, reset the password (POST /auth/password-resets), which"
            " confirms the address, and run the command again; or take another address."
        )
