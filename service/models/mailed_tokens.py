"""The one-time tokens in mails: who was sent one, and their use and their end."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam

from service.database import Row
from service.ids import now
from service.models.mails import LIFETIMES, Mail, hashed
from service.models.users import User
from service.problems import OneTimeTokenInvalid
from service.statements import Prepared


class MailedToken:
    """A token in a mail that was sent; the row of the mail has its hash and its end."""

    @classmethod
    def owner(cls, token: str, kind: str) -> Row:
        """(email, username, kind) of the user to whom a token of this kind was sent, read outside
        the request's transaction; raises `OneTimeTokenInvalid`."""
        row = _owner.peek(hash=hashed(token), moment=now())
        if row is None or row.kind != kind:
            raise OneTimeTokenInvalid
        return row

    @classmethod
    def use(cls, token: str, *kinds: str) -> Row:
        """(user_id, kind, recipient) behind a good token of these kinds, which is good no more.

        The user's row is locked from here on. Raises `OneTimeTokenInvalid`.
        """
        digest = hashed(token)
        row = _used.first(hash=digest, moment=now())
        if row is None or row.kind not in kinds or not _use.write(hash=digest):
            raise OneTimeTokenInvalid
        return row

    @classmethod
    def revoke(cls, user_id: UUID | str) -> None:
        """End every token of this user, those in mails that are still to be sent included."""
        _revoke.write(user=user_id)


_good = sa.and_(
    Mail.token_hash == bindparam("hash"),
    Mail.expires_at > bindparam("moment"),
    User.disabled.is_(False),
)
_owner = Prepared(
    sa.select(User.email, User.username, Mail.kind).join(Mail, Mail.user_id == User.id).where(_good)
)
_used = Prepared(
    sa.select(Mail.user_id, Mail.kind, Mail.recipient)
    .join(User, User.id == Mail.user_id)
    .where(_good)
    .with_for_update(of=User)
)
_use = Prepared(sa.delete(Mail).where(Mail.token_hash == bindparam("hash")))
_revoke = Prepared(
    sa.delete(Mail).where(
        Mail.user_id == bindparam("user"), sa.or_(*(Mail.kind == kind for kind in LIFETIMES))
    )
)
