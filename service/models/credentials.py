"""The credentials of a user: the key of an address and the hash of a password."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from service.engine.database.statements import Prepared
from service.engine.database.transaction import Row
from service.engine.database.types import Time
from service.engine.ids import now
from service.models.audit_events import AuditEvent
from service.models.users import NO_HASH, PRIVATE, User


class Credentials:
    """Columns of the user's row."""

    @classmethod
    def of(cls, email_key: str) -> Row | None:
        """(id, password_hash, disabled, email_verified) behind the key of an address, if known;
        read outside the request's transaction because a slow comparison follows."""
        return _credentials.peek(key=email_key)

    @classmethod
    def admitted(cls, user_id: str, password_hash: str) -> dict[str, Any] | None:
        """The Account, locked, if the user still has this hash and is not disabled."""
        row = _admitted.first(id=user_id, hash=password_hash)
        return row._asdict() if row else None

    @classmethod
    def account(cls, user_id: str) -> Row | None:
        """The columns of the Account, locked, if there is such a user; they may be disabled."""
        return _account.first(id=user_id)

    @classmethod
    def password_hash_of(cls, user_id: str) -> str | None:
        """The stored hash, read outside the request's transaction."""
        row = _hash.peek(id=user_id)
        return row.password_hash if row else None

    @classmethod
    def change_password(cls, user_id: str, old_hash: str | None, new_hash: str) -> bool:
        """Replace one hash by another; False if the hash has changed meanwhile."""
        return bool(_change_password.write(id_=user_id, old=old_hash, new=new_hash))

    @classmethod
    def reset_password(cls, user_id: str, new_hash: str) -> None:
        """Set the user's hash, whatever it was before."""
        _reset_password.write(id_=user_id, new=new_hash)

    @classmethod
    def remove_password(cls, user_id: str) -> None:
        """Disable signing in with a password until a mailed link sets a new one."""
        _reset_password.write(id_=user_id, new=NO_HASH)

    @classmethod
    def accept_role(cls, user_id: str) -> bool:
        """Give the user the role of the invitation; False if there is none, or if no administrator
        who created or invited the account is still active."""
        return bool(_accept_role.write(id_=user_id, moment=now()))

    @classmethod
    def is_active_admin(cls, user_id: str) -> bool:
        """Whether the user is an administrator, and neither disabled nor deleted."""
        return _active_admin.first(id=user_id) is not None


_credentials = Prepared(
    sa.select(User.id, User.password_hash, User.disabled, User.email_verified).where(
        User.email_key == bindparam("key")
    )
)
_hash = Prepared(
    sa.select(User.password_hash).where(User.id == bindparam("id"), User.deleted.is_(False))
)
_admitted = Prepared(
    sa.select(*PRIVATE)
    .where(
        User.id == bindparam("id"),
        User.password_hash == bindparam("hash"),
        User.disabled.is_(False),
    )
    .with_for_update()
)
_account = Prepared(
    sa.select(*PRIVATE).where(User.id == bindparam("id"), User.deleted.is_(False)).with_for_update()
)
_active_admin = Prepared(
    sa.select(User.id).where(
        User.id == bindparam("id"),
        User.role == "admin",
        User.disabled.is_(False),
        User.deleted.is_(False),
    )
)
_change_password = Prepared(
    sa.update(User)
    .where(User.id == bindparam("id_"), User.password_hash == bindparam("old"))
    .values(password_hash=bindparam("new"))
)
_inviter = sa.orm.aliased(User)
_is_vouched_for = sa.exists(
    sa.select(AuditEvent.id)
    .join(_inviter, AuditEvent.actor_id == _inviter.id)
    .where(
        AuditEvent.user_id == bindparam("id_"),
        sa.or_(AuditEvent.action == "user-created", AuditEvent.action == "recovery-requested"),
        _inviter.role == "admin",
        _inviter.disabled.is_(False),
    )
)
_accept_role = Prepared(
    sa.update(User)
    .where(
        User.id == bindparam("id_"),
        User.invited_role.is_not(None),
        User.email_verified.is_(True),
        _is_vouched_for,
    )
    .values(
        role=User.invited_role,
        invited_role=None,
        version=User.version + 1,
        updated_at=bindparam("moment", type_=Time),
    )
)
_reset_password = Prepared(
    sa.update(User).where(User.id == bindparam("id_")).values(password_hash=bindparam("new"))
)
