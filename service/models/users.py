"""Users: the account that signs in and the public profile that others see."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.caller import Caller
from service.engine.database.distribution import everywhere
from service.engine.database.errors import unique
from service.engine.database.listing import Listing
from service.engine.database.owned import Owned
from service.engine.database.statements import Prepared, insertion
from service.engine.database.transaction import Row, db
from service.engine.database.types import Id, Time
from service.engine.ids import created_at, new_id, now
from service.engine.problems import Forbidden, NotFound, PreconditionFailed, Problem
from service.models import account_rows
from service.models.audit_events import AuditEvent
from service.models.resting_usernames import RestingUsername
from service.problems import (
    AdminUnverified,
    EmailTaken,
    LastAdmin,
    OneTimeTokenInvalid,
    UsernameTaken,
)

NO_HASH = ""  # stored if there is no password: no password has this hash


class User(db.Model):  # type: ignore[name-defined,misc] # made at run time
    __tablename__ = "users"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254), unique=True)  # as it was typed
    # What is looked up. NULL in a row of the previous release until `purge` fills it, and no
    # address at all, `!` and the id, where the address belongs to an older account.
    email_key: Mapped[str | None] = mapped_column(sa.String(254), unique=True, index=True)
    email_verified: Mapped[bool] = mapped_column(default=False)
    username: Mapped[str] = mapped_column(sa.String(30), unique=True)
    bio: Mapped[str] = mapped_column(sa.String(500), default="")
    password_hash: Mapped[str] = mapped_column(sa.String(255))  # or `NO_HASH`
    role: Mapped[str] = mapped_column(sa.String(10), default="user")
    # The role that the user gets by accepting an invitation, which confirms the address.
    invited_role: Mapped[str | None] = mapped_column(sa.String(10))
    disabled: Mapped[bool] = mapped_column(default=False)
    # Hidden, and disabled too, until its rows are removed: see `models.deletions`.
    deleted: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    # See `models.storage`. NULL in a row of the previous release until it is counted.
    stored_bytes: Mapped[int | None] = mapped_column(sa.BigInteger, default=0)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[str] = mapped_column(Time)
    updated_at: Mapped[str] = mapped_column(Time)

    @classmethod
    def create(
        cls,
        *,
        email: str,
        email_key: str,
        username: str,
        password_hash: str | None,
        invited_role: str | None = None,
    ) -> dict[str, Any]:
        """The new Account; raises `EmailTaken` or `UsernameTaken`, as the unique index decides.

        A user name that rests is `UsernameTaken` too.
        """
        id_ = new_id()
        moment = created_at(id_)
        row = {
            "id": str(id_),
            "email": email,
            "email_verified": False,
            "username": username,
            "bio": "",
            "role": "user",
            "disabled": False,
            "created_at": moment,
            "updated_at": moment,
        }
        with unique(email=EmailTaken, email_key=EmailTaken, username=UsernameTaken):
            secret = {"email_key": email_key, "password_hash": password_hash or NO_HASH}
            others = {"invited_role": invited_role, "stored_bytes": 0, "version": 1}
            _insert.write(**row, **secret, **others, deleted=False)
        RestingUsername.check(username, id_)
        return {**row, "etag": profile_tag(username, "")}  # of what Location names

    @classmethod
    def account(cls, user_id: UUID | str) -> dict[str, Any]:
        """The Account; raises `NotFound`."""
        row = _account.first(id=user_id)
        if row is None:
            raise NotFound
        return account_rows.account(row)

    @classmethod
    def confirm_email(cls, user_id: str, email: str, email_key: str) -> bool:
        """Make this the user's verified address; False if it was that already.

        Raises `OneTimeTokenInvalid` when it has become another user's.
        """
        with unique(email=OneTimeTokenInvalid, email_key=OneTimeTokenInvalid):
            changed = _confirm_email.write(id_=user_id, new=email, key=email_key, moment=now())
            # A new spelling of the same address looks to the trigger like the previous release.
            _fill_key.write(id_=user_id, key=email_key)
        return bool(changed)

    @classmethod
    def update(
        cls,
        user_id: UUID,
        caller: Caller,
        if_match: list[str] | None,
        changes: dict[str, Any],
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The changed Account, and its `standing` before.

        Raises `NotFound`, `Forbidden`, `PreconditionFailed`, `UsernameTaken`, `EmailTaken`,
        `LastAdmin` or `AdminUnverified`.
        """
        retires = changes.get("disabled") or changes.get("role") == "user"
        last_admin = retires and _is_last_admin(user_id)
        before = _standing.first(id=user_id)
        if before is not None and changes.get("email") == before.email:
            changes = {name: changes[name] for name in changes if not name.startswith("email")}
        with unique(username=UsernameTaken, email=EmailTaken, email_key=EmailTaken):
            if before is None or not _owned.update(
                user_id, caller, _tags(if_match, before), changes
            ):
                raise _refused(user_id, caller)
        if last_admin:
            raise LastAdmin
        if changes.get("username", before.username) != before.username:
            RestingUsername.check(changes["username"], user_id)
            RestingUsername.forget(user_id, changes["username"])  # which it may have taken back
            RestingUsername.rest(before.username, user_id)
        if "email" in changes:
            _fill_key.write(id_=user_id, key=changes["email_key"])  # as in `confirm_email`
        account = cls.account(user_id)
        if _is_unproved_admin(account, changes):
            raise AdminUnverified
        return account, before._asdict()

    @classmethod
    def standing(cls, user_id: UUID | str) -> dict[str, Any]:
        """`role`, `disabled`, `email`, `email_verified`, `username`, `bio`, `version`,
        `has_password`; `was_in_use` is False until an invited user has set a password.

        The user's row is locked from here on. Raises `NotFound`.
        """
        row = _standing.first(id=user_id)
        if row is None:
            raise NotFound
        return row._asdict()

    @classmethod
    def delete(
        cls,
        user_id: UUID,
        caller: Caller,
        if_match: list[str] | None,
        tombstone: dict[str, Any],
        *,
        name_rests: bool,
    ) -> None:
        """Replace the user by a tombstone: see `Deletion.begin`.

        Raises `NotFound`, `Forbidden`, `PreconditionFailed` or `LastAdmin`.
        """
        last_admin = _is_last_admin(user_id)
        before = _standing.first(id=user_id)
        if before is None or not _owned.update(user_id, caller, _tags(if_match, before), tombstone):
            raise _refused(user_id, caller)
        if last_admin:
            raise LastAdmin
        if name_rests:
            RestingUsername.rest(before.username, None)
        else:
            RestingUsername.forget(user_id)


everywhere(User, without=["fill_email_key"])  # which serves the previous release


def profile_tag(username: str, bio: str) -> str:
    """The version of the public profile with this `username` and `bio`: 16 hexadecimal digits. The
    version of the account would tell everybody when it is verified, disabled or made an admin."""
    shown = f"{username} {bio}"
    return hashlib.blake2b(shown.encode(), digest_size=8).hexdigest()


PRIVATE = account_rows.columns(User)
ACCOUNT = account_rows.quick_columns(User)

_is_there = User.deleted.is_(False)
User.accounts = Listing(
    sa.select(*PRIVATE).where(_is_there),
    key=User.id,
    email=User.email_key == bindparam("email"),
    role=User.role == bindparam("role"),
    disabled=User.disabled == bindparam("disabled"),
)

_insert = insertion(User)
_account = Prepared(sa.select(*ACCOUNT).where(User.id == bindparam("id"), _is_there))
_confirm_email = Prepared(
    sa.update(User)
    .where(
        User.id == bindparam("id_"),
        sa.or_(User.email != bindparam("new"), User.email_verified.is_(False)),
    )
    .values(
        email=bindparam("new"),
        email_key=bindparam("key"),
        email_verified=True,
        # An invitation is valid only for the address to which it was sent.
        invited_role=sa.case((User.email_key == bindparam("key"), User.invited_role)),
        version=User.version + 1,
        updated_at=bindparam("moment", type_=Time),
    )
)
_fill_key = Prepared(
    sa.update(User)
    .where(User.id == bindparam("id_"), User.email_key.is_(None))
    .values(email_key=bindparam("key"))
)
_its = AuditEvent.user_id == bindparam("id")
_undone = sa.select(AuditEvent.id).where(_its, AuditEvent.action == "email-change-undone")
_standing = Prepared(
    sa.select(
        User.role,
        User.disabled,
        User.email,
        User.email_verified,
        User.username,
        User.bio,
        User.version,
        (sa.func.length(User.password_hash) > 0).label("has_password"),
        sa.or_(sa.func.length(User.password_hash) > 0, User.email_verified, _undone.exists()).label(
            "was_in_use"
        ),
    )
    .where(User.id == bindparam("id"), _is_there)
    .with_for_update()
)
_owned = Owned(
    User,
    owner=User.id,
    etag=User.username + "." + sa.cast(User.version, sa.String),
    exists=_is_there,
)
_target = sa.orm.aliased(User)
_active_admins = Prepared(
    sa.select(User.id)
    .where(User.role == "admin", User.disabled.is_(False))
    .where(sa.exists().where(_target.id == bindparam("of"), _target.role == "admin"))
    .order_by(User.id)
    .with_for_update(of=User)
)


def _tags(if_match: list[str] | None, locked: Row) -> list[str] | None:
    """The tags of the account that `If-Match` allows, if it may name the profile instead."""
    if if_match and profile_tag(locked.username, locked.bio) in if_match:
        return [*if_match, account_rows.tag(locked.username, locked.version)]
    return if_match


def _is_last_admin(user_id: UUID) -> bool:
    # Locks every active administrator's row, so that two cannot demote each other at once; none
    # when the user who leaves is not an administrator.
    return [row.id for row in _active_admins.all(of=user_id)] == [str(user_id)]


def _is_unproved_admin(account: dict[str, Any], changes: dict[str, Any]) -> bool:
    """Whether these changes have given administrator rights to an account with an unconfirmed
    address."""
    empowers = (
        changes.get("role") == "admin" or changes.get("disabled") is False or "email" in changes
    )
    return empowers and account["role"] == "admin" and not account["email_verified"]


def _refused(user_id: UUID, caller: Caller) -> Problem:
    if _account.first(id=user_id) is None:
        return NotFound()
    if not caller.is_admin and str(user_id) != caller.id:
        return Forbidden()
    return PreconditionFailed()
