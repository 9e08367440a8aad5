"""Authenticator apps: the secrets of confirmed ones, and those that wait to be confirmed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.caller import Caller
from service.engine.database.distribution import spread
from service.engine.database.listing import END, Items
from service.engine.database.statements import Prepared, insertion
from service.engine.database.transaction import Row, db
from service.engine.database.types import Id, Time
from service.engine.ids import now, rfc3339
from service.models.ownership import Exported, declare

PENDING_FOR = timedelta(minutes=10)


class TotpFactor(db.Model):  # type: ignore[name-defined,misc] # made at run time
    """A user's authenticator app. `secret` is sealed: see `engine.tokens.sealing`."""

    __tablename__ = "totp_factors"

    user_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    secret: Mapped[str] = mapped_column(sa.Text)
    last_step: Mapped[int] = mapped_column(sa.BigInteger)  # of the last code that was accepted
    created_at: Mapped[str] = mapped_column(Time)

    @classmethod
    def of(cls, user_id: UUID | str) -> Row | None:
        """(secret, last_step, created_at) of the user's app, if there is one."""
        return _of.first(of=user_id)

    @classmethod
    def peek(cls, user_id: UUID | str) -> Row | None:
        """As `of`, read outside the request's transaction."""
        return _of.peek(of=user_id)

    @classmethod
    def put(cls, user_id: str, secret: str, last_step: int) -> None:
        """Make this the user's app, instead of another if there is one. The caller must hold the
        user's row locked."""
        _remove.write(of=user_id)
        _insert.write(user_id=user_id, secret=secret, last_step=last_step, created_at=now())

    @classmethod
    def use(cls, user_id: str, step: int, secret: str) -> bool:
        """Use the code of a step up, and seal the secret anew; False if that code or a later one
        has been used. Of two requests at once, one gets True."""
        return bool(_use.write(of=user_id, step=step, sealed=secret))

    @classmethod
    def remove(cls, user_id: UUID | str) -> bool:
        """Forget the user's app; False if there is none."""
        return bool(_remove.write(of=user_id))

    @classmethod
    def remove_since(cls, user_id: str, moment: str) -> bool:
        """Forget the user's app if it was added after a moment; False if there is none such."""
        return bool(_remove_since.write(of=user_id, moment=moment))

    @classmethod
    def sealed_before(cls, prefix: str, after: str, most: int) -> list[Row]:
        """(user_id, secret) of apps whose secret begins otherwise, in the order of `user_id`."""
        return _sealed_before.all(prefix=prefix, length=len(prefix), after=after, most=most)

    @classmethod
    def reseal(cls, user_id: str, old: str, new: str) -> bool:
        """Replace a sealed secret; False if it has been replaced meanwhile."""
        return bool(_reseal.write(of=user_id, old=old, sealed=new))

    @classmethod
    def exported(cls, caller: Caller) -> Callable[..., Items]:
        """The listing of the caller's app, which says only since when there is one."""
        return partial(_exported, caller)


spread(TotpFactor.user_id)


class PendingTotp(db.Model):  # type: ignore[name-defined,misc] # made at run time
    """A secret that a user was shown, and has to confirm with a code."""

    __tablename__ = "pending_totps"

    user_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    secret: Mapped[str] = mapped_column(sa.Text)  # sealed
    expires_at: Mapped[str] = mapped_column(Time, index=True)

    @classmethod
    def put(cls, user_id: str, secret: str) -> None:
        """Remember a secret for ten minutes, instead of an earlier one."""
        _put_pending.write(of=user_id, sealed=secret, end=rfc3339(datetime.now(UTC) + PENDING_FOR))

    @classmethod
    def peek(cls, user_id: str) -> str | None:
        """The sealed secret, if one is pending; read outside the request's transaction."""
        row = _pending.peek(of=user_id, moment=now())
        return row.secret if row else None

    @classmethod
    def take(cls, user_id: str, secret: str) -> bool:
        """Remove this secret; False if it is not pending any more."""
        return bool(_take_pending.write(of=user_id, sealed=secret, moment=now()))

    @classmethod
    def remove(cls, user_id: UUID | str) -> None:
        """Forget the pending secret, if there is one."""
        _remove_pending.write(of=user_id)


spread(PendingTotp.user_id)
declare(TotpFactor.user_id, export=Exported("totp", TotpFactor.exported))
declare(PendingTotp.user_id, export="a secret that is not in use")
_insert = insertion(TotpFactor)
_mine = TotpFactor.user_id == bindparam("of")
_of = Prepared(
    sa.select(TotpFactor.secret, TotpFactor.last_step, TotpFactor.created_at).where(_mine)
)
_use = Prepared(
    sa.update(TotpFactor)
    .where(_mine, TotpFactor.last_step < bindparam("step"))
    .values(last_step=bindparam("step"), secret=bindparam("sealed"))
)
_remove = Prepared(sa.delete(TotpFactor).where(_mine))
_remove_since = Prepared(
    sa.delete(TotpFactor).where(_mine, TotpFactor.created_at > bindparam("moment"))
)
_sealed_before = Prepared(
    sa.select(TotpFactor.user_id, TotpFactor.secret)
    .where(
        TotpFactor.user_id > bindparam("after", type_=Id),
        sa.func.substr(TotpFactor.secret, 1, bindparam("length", type_=sa.Integer))
        != bindparam("prefix"),
    )
    .order_by(TotpFactor.user_id)
    .limit(bindparam("most", type_=sa.Integer))
)
_reseal = Prepared(
    sa.update(TotpFactor)
    .where(_mine, TotpFactor.secret == bindparam("old"))
    .values(secret=bindparam("sealed"))
)
# As text, because SQLAlchemy has an ON CONFLICT for each database and these two share one syntax.
_put_pending = Prepared(
    sa.text(
        "INSERT INTO pending_totps (user_id, secret, expires_at) VALUES (:of, :sealed, :end)"
        " ON CONFLICT (user_id)"
        " DO UPDATE SET secret = excluded.secret, expires_at = excluded.expires_at"
    ).bindparams(bindparam("of", type_=Id), bindparam("end", type_=Time))
)
_my_pending = sa.and_(
    PendingTotp.user_id == bindparam("of"), PendingTotp.expires_at > bindparam("moment")
)
_pending = Prepared(sa.select(PendingTotp.secret).where(_my_pending))
_take_pending = Prepared(
    sa.delete(PendingTotp).where(_my_pending, PendingTotp.secret == bindparam("sealed"))
)
_remove_pending = Prepared(sa.delete(PendingTotp).where(PendingTotp.user_id == bindparam("of")))


def _exported(
    caller: Caller, limit: int, after: UUID | None = None, order: str = "newest"
) -> Items:
    row = None if after else TotpFactor.of(caller.id)
    return Items([{"created_at": row.created_at}], stopped_at=caller.id) if row else END
