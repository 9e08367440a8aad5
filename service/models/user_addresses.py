"""The users of addresses: verified ones, and accounts registered with somebody else's address."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam

from service.caller import Caller
from service.engine.database.statements import Prepared
from service.engine.database.transaction import Row
from service.engine.ids import NOBODY
from service.models.audit_events import AuditEvent
from service.models.users import User
from service.problems import OneTimeTokenInvalid


class UserAddress:
    """The address of a user, in the table of users."""

    @classmethod
    def addressee(cls, email_key: str) -> Row | None:
        """(id, email) of the user who is not disabled and whose address has this key, if any."""
        return _addressee.first(key=email_key)

    @classmethod
    def verified(cls, user_id: UUID | str | None) -> str | None:
        """The user's address, if it is verified; None is nobody, which takes the same time."""
        row = _verified.first(id=user_id or NOBODY)
        return row.email if row else None

    @classmethod
    def was_ever_verified(cls, user_id: str) -> bool:
        """Whether somebody has confirmed an address of this account, the present one or another.
        An administrator who gives it one confirms nothing."""
        return cls.verified(user_id) is not None or _was_confirmed.first(id=user_id) is not None

    @classmethod
    def disputed(cls, user_id: str, email: str) -> Caller | None:
        """The owner of an account whose address is this one and unverified; None if the account
        was somebody's before an administrator gave it this address.

        Raises `OneTimeTokenInvalid` for any other account, and for an administrator's.
        """
        row = _disputed.first(id=user_id, email=email)
        if row is None:
            raise OneTimeTokenInvalid
        return None if _proved_before.first(id=user_id) else _owner(row)

    @classmethod
    def unverified_owner(cls, email_key: str, user_id: str) -> Caller | None:
        """The owner of an account other than this user's that was registered with the address of
        this key and is still unverified."""
        row = _unverified_owner.first(key=email_key, but=user_id)
        return None if row is None or _proved_before.first(id=row.id) else _owner(row)


_addressee = Prepared(
    sa.select(User.id, User.email).where(
        User.email_key == bindparam("key"), User.disabled.is_(False)
    )
)
_verified = Prepared(
    sa.select(User.email).where(User.id == bindparam("id"), User.email_verified.is_(True))
)
_unproved = sa.select(User.id, User.email, User.username, User.role).where(
    User.email_verified.is_(False), User.role == "user"
)
_disputed = Prepared(_unproved.where(User.id == bindparam("id"), User.email == bindparam("email")))
_unverified_owner = Prepared(
    _unproved.where(
        User.email_key == bindparam("key"), User.id != bindparam("but")
    ).with_for_update()
)
_of_user = sa.select(AuditEvent.id).where(AuditEvent.user_id == bindparam("id")).limit(1)
_is_verified, _is_changed = (
    AuditEvent.action == action for action in ("email-verified", "email-changed")
)
_proved_before = Prepared(_of_user.where(sa.or_(_is_verified, _is_changed)))
_was_confirmed = Prepared(
    _of_user.where(
        sa.or_(_is_verified, sa.and_(_is_changed, AuditEvent.actor_id == AuditEvent.user_id))
    )
)


def _owner(row: Row) -> Caller:
    return Caller(**row._asdict(), session_id="", session_end="")
