"""Whose an address is: proved by its user, or given by somebody who is not its owner."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam

from service.models.caller import Caller
from service.models.users import User
from service.problems import OneTimeTokenInvalid
from service.statements import Prepared


class UserAddress:
    """The address of a user, in the table of users."""

    @classmethod
    def verified(cls, user_id: UUID | str) -> str | None:
        """The user's address, if it is verified."""
        row = _verified.first(id=user_id)
        return row.email if row else None

    @classmethod
    def disputed(cls, user_id: str, email: str) -> Caller:
        """The owner of an account that has never been anybody's: its address is this one, and not
        verified. Raises `OneTimeTokenInvalid` for any other, and for an administrator's."""
        row = _disputed.first(id=user_id, email=email)
        if row is None:
            raise OneTimeTokenInvalid
        return Caller(**row._asdict(), session_id="", session_end="")


_verified = Prepared(
    sa.select(User.email).where(User.id == bindparam("id"), User.email_verified.is_(True))
)
_disputed = Prepared(
    sa.select(User.id, User.email, User.username, User.role, User.version).where(
        User.id == bindparam("id"),
        User.email == bindparam("email"),
        User.email_verified.is_(False),
        User.role == "user",
    )
)
