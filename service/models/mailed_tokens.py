"""The one-time tokens in mails: finding their user, using and revoking them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam

from service.engine.database.statements import Prepared
from service.engine.database.transaction import Row
from service.engine.ids import created_at, now
from service.models.mails import (
    EMAIL_CHANGED,
    FACTOR_RESET,
    LASTING,
    LIFETIMES,
    TO_OWN_ADDRESS,
    UNREVOKED,
    Mail,
    hashed,
)
from service.models.users import User
from service.problems import OneTimeTokenInvalid


class MailedToken:
    """A token in a mail that was sent; the row of the mail has its hash and its end."""

    @classmethod
    def owner(cls, token: str, *kinds: str) -> Row:
        """(email, username, kind) of the user to whom a token of these kinds was sent, read outside
        the request's transaction; raises `OneTimeTokenInvalid`."""
        row = _owner.peek(hash=hashed(token), moment=now())
        if row is None or row.kind not in kinds:
            raise OneTimeTokenInvalid
        return row

    @classmethod
    def use(cls, token: str, *kinds: str) -> tuple[str, str, str]:
        """Use up a valid token of these kinds; returns (user_id, kind, recipient) and locks the
        user's row. Raises `OneTimeTokenInvalid`."""
        digest = hashed(token)
        row = _used.first(hash=digest, moment=now())
        if row is None or row.kind not in kinds or not _use.write(hash=digest):
            raise OneTimeTokenInvalid
        return row.user_id, row.kind, row.recipient

    @classmethod
    def undo(cls, token: str) -> tuple[str, str, datetime]:
        """Use up the token of a notice about a changed address; returns the user's id, the old
        address and the time of the change, and locks the user's row.

        Tokens of later changes become invalid too; those of earlier changes stay valid. Raises
        `OneTimeTokenInvalid`.
        """
        digest = hashed(token)
        row = _used.first(hash=digest, moment=now())
        if row is None or row.kind != EMAIL_CHANGED:
            raise OneTimeTokenInvalid
        if not _undo.write(user=row.user_id, hash=digest):
            raise OneTimeTokenInvalid
        return row.user_id, row.recipient, datetime.fromisoformat(created_at(UUID(row.id)))

    @classmethod
    def revoke(cls, user_id: UUID | str) -> None:
        """End the tokens of this user, those in mails that are still to be sent included, but not
        those that undo a change of address."""
        _revoke.write(user=user_id)

    @classmethod
    def revoke_elsewhere(cls, user_id: UUID | str) -> None:
        """End the tokens that were or are mailed to another address than the user's own: those that
        confirm, dispute or undo a change of address."""
        _revoke_elsewhere.write(user=user_id)

    @classmethod
    def revoke_all(cls, user_id: UUID | str) -> None:
        """End the tokens of this user, those that undo a change of address included, but not those
        that stop a reset of factors."""
        _revoke_all.write(user=user_id)

    @classmethod
    def revoke_resets(cls, user_id: UUID | str) -> None:
        """End the tokens that stop a reset of this user's factors."""
        _revoke_resets.write(user=user_id)


_good = sa.and_(
    Mail.token_hash == bindparam("hash"),
    Mail.expires_at > bindparam("moment"),
    User.disabled.is_(False),
)
_owner = Prepared(
    sa.select(User.email, User.username, Mail.kind).join(Mail, Mail.user_id == User.id).where(_good)
)
_used = Prepared(
    sa.select(Mail.user_id, Mail.kind, Mail.recipient, Mail.id)
    .join(User, User.id == Mail.user_id)
    .where(_good)
    .with_for_update(of=User)
)
_use = Prepared(sa.delete(Mail).where(Mail.token_hash == bindparam("hash")))
_mine = Mail.user_id == bindparam("user")
_earlier = sa.orm.aliased(Mail)
_undo = Prepared(
    sa.delete(Mail).where(
        _mine,
        Mail.kind == EMAIL_CHANGED,
        Mail.id
        >= sa.select(_earlier.id).where(_earlier.token_hash == bindparam("hash")).scalar_subquery(),
    )
)


def _delete_kinds(kinds: Iterable[str]) -> Prepared:
    its_kind = sa.or_(*(Mail.kind == kind for kind in sorted(kinds)))
    return Prepared(sa.delete(Mail).where(_mine, its_kind))


_revoke = _delete_kinds(LIFETIMES.keys() - LASTING)
_revoke_elsewhere = _delete_kinds(LIFETIMES.keys() - TO_OWN_ADDRESS - UNREVOKED)
_revoke_all = _delete_kinds(LIFETIMES.keys() - UNREVOKED)
_revoke_resets = _delete_kinds({FACTOR_RESET})
