"""Passkeys: public keys of authenticators, each of which can sign its user in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.caller import Caller
from service.engine.database.distribution import on_coordinator
from service.engine.database.errors import unique
from service.engine.database.listing import Items, Listing
from service.engine.database.owned import Owned
from service.engine.database.statements import Prepared, insertion
from service.engine.database.transaction import Row, db
from service.engine.database.types import Id, Time
from service.engine.ids import created_at, new_id, now
from service.engine.problems import NotFound, PreconditionFailed
from service.models.ownership import Exported, declare
from service.models.users import User
from service.problems import PasskeyTaken, TooManyPasskeys

MAX_PASSKEYS_PER_USER = 20
MAX_CREDENTIAL_ID_BYTES = 1023  # WebAuthn Level 3, section 7.1


class Passkey(db.Model):  # type: ignore[name-defined,misc] # made at run time
    """A public key credential (WebAuthn Level 3, section 4), whose user handle is the user's id.

    `credential_id` and `public_key` (in COSE form) are in base64url; `transports` are separated by
    spaces.
    """

    __tablename__ = "passkeys"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    credential_id: Mapped[str] = mapped_column(sa.String(1364), unique=True)
    public_key: Mapped[str] = mapped_column(sa.Text)
    sign_count: Mapped[int] = mapped_column(sa.BigInteger)
    transports: Mapped[str] = mapped_column(sa.String(200))
    name: Mapped[str] = mapped_column(sa.String(60))
    backed_up: Mapped[bool]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[str] = mapped_column(Time)
    updated_at: Mapped[str] = mapped_column(Time)
    last_used_at: Mapped[str | None] = mapped_column(Time)  # the hour

    @classmethod
    def add(
        cls,
        user_id: str,
        *,
        credential_id: str,
        public_key: str,
        sign_count: int,
        transports: str,
        name: str,
        backed_up: bool,
    ) -> str:
        """The id of a new passkey of a user, whose row must be locked, so that two at once are not
        one too many. Raises `TooManyPasskeys` or, if anybody has it already, `PasskeyTaken`."""
        if cls.count(user_id) >= MAX_PASSKEYS_PER_USER:
            raise TooManyPasskeys
        id_ = new_id()
        moment = created_at(id_)
        with unique(credential_id=PasskeyTaken):
            _insert.write(
                id=id_,
                user_id=user_id,
                credential_id=credential_id,
                public_key=public_key,
                sign_count=sign_count,
                transports=transports,
                name=name,
                backed_up=backed_up,
                version=1,
                created_at=moment,
                updated_at=moment,
                last_used_at=None,
            )
        return str(id_)

    @classmethod
    def get(cls, passkey_id: UUID | str, user_id: str) -> dict[str, Any]:
        """One passkey of this user; raises `NotFound`."""
        row = _one.first(id=passkey_id, user_id=user_id)
        if row is None:
            raise NotFound
        fields = row._asdict()
        return {"etag": str(fields.pop("version")), **fields}

    @classmethod
    def of(cls, caller: Caller) -> Callable[..., Items]:
        """The listing of the caller's passkeys, newest first."""
        return partial(_listing, user_id=caller.id)

    @classmethod
    def credentials(cls, user_id: str) -> list[Row]:
        """(credential_id, transports) of each passkey of this user, newest first."""
        return _credentials.all(user_id=user_id)

    @classmethod
    def by_credential(cls, credential_id: str) -> Row | None:
        """(id, user_id, public_key), unless the account is deleted."""
        return _by_credential.first(credential_id=credential_id)

    @classmethod
    def use(cls, passkey_id: str, *, sign_count: int, backed_up: bool) -> bool:
        """Note a use; False if the counter of the authenticator has not gone forward.

        Both are 0 where an authenticator does not count. The statement compares, so that of two
        copies of a passkey that sign at once one is refused.
        """
        moment = f"{now()[:13]}:00:00.000Z"
        return bool(_use.write(of=passkey_id, count=sign_count, backed=backed_up, moment=moment))

    @classmethod
    def rename(
        cls, passkey_id: UUID, caller: Caller, if_match: list[str] | None, name: str
    ) -> dict[str, Any]:
        """The renamed passkey; raises `NotFound` or `PreconditionFailed`."""
        if not _owned.update(passkey_id, _as_owner(caller), if_match, {"name": name}):
            cls.get(passkey_id, caller.id)  # or NotFound
            raise PreconditionFailed
        return cls.get(passkey_id, caller.id)

    @classmethod
    def remove(cls, passkey_id: UUID, caller: Caller, if_match: list[str] | None) -> None:
        """Remove a passkey; raises `NotFound` or `PreconditionFailed`."""
        if not _owned.delete(passkey_id, _as_owner(caller), if_match):
            cls.get(passkey_id, caller.id)  # or NotFound
            raise PreconditionFailed

    @classmethod
    def count(cls, user_id: UUID | str) -> int:
        """The number of passkeys of this user."""
        row = _count.first(user_id=user_id)
        return row.number if row else 0

    @classmethod
    def remove_since(cls, user_id: UUID | str, moment: str) -> bool:
        """Remove the passkeys that were added at this time or later; False if there were none."""
        return bool(_remove_since.write(user_id=user_id, since=moment))

    @classmethod
    def remove_all(cls, user_id: UUID | str) -> None:
        """Remove the passkeys of this user."""
        _remove_all.write(user_id=user_id)


on_coordinator(Passkey)
declare(Passkey.user_id, export=Exported("passkey", Passkey.of))
SHOWN = (
    Passkey.id,
    Passkey.name,
    Passkey.backed_up,
    Passkey.created_at,
    Passkey.last_used_at,
)
_insert = insertion(Passkey)
_one = Prepared(
    sa.select(*SHOWN, Passkey.version).where(
        Passkey.id == bindparam("id"), Passkey.user_id == bindparam("user_id")
    )
)
_listing = Listing(
    sa.select(*SHOWN), key=Passkey.id, user_id=Passkey.user_id == bindparam("user_id")
)
_credentials = Prepared(
    sa.select(Passkey.credential_id, Passkey.transports)
    .where(Passkey.user_id == bindparam("user_id"))
    .order_by(Passkey.id.desc())
)
_by_credential = Prepared(
    sa.select(Passkey.id, Passkey.user_id, Passkey.public_key)
    .join(User, User.id == Passkey.user_id)
    .where(Passkey.credential_id == bindparam("credential_id"), User.deleted.is_(False))
)
_hour = bindparam("moment", type_=Time)
_counted = bindparam("count", type_=sa.BigInteger)
_backed_up = bindparam("backed", type_=sa.Boolean)
_looks_the_same = sa.and_(Passkey.last_used_at == _hour, Passkey.backed_up == _backed_up)
_use = Prepared(
    sa.update(Passkey)
    .where(
        Passkey.id == bindparam("of"),
        sa.or_(Passkey.sign_count < _counted, sa.and_(Passkey.sign_count == 0, _counted == 0)),
    )
    .values(
        sign_count=_counted,
        backed_up=_backed_up,
        last_used_at=_hour,
        version=sa.case((_looks_the_same, Passkey.version), else_=Passkey.version + 1),
    )
)
_count = Prepared(
    sa.select(sa.func.count().label("number")).where(Passkey.user_id == bindparam("user_id"))
)
_remove_all = Prepared(sa.delete(Passkey).where(Passkey.user_id == bindparam("user_id")))
_remove_since = Prepared(
    sa.delete(Passkey).where(
        Passkey.user_id == bindparam("user_id"), Passkey.created_at >= bindparam("since")
    )
)
_owned = Owned(
    Passkey, owner=Passkey.user_id, etag=sa.cast(Passkey.version, sa.String), exists=sa.true()
)


def _as_owner(caller: Caller) -> Caller:
    # An administrator has no rights over the passkeys of others.
    return caller._replace(role="user")
