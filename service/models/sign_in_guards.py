"""The data of the guard: failed sign-ins, and networks that have signed in."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.engine.database.distribution import on_coordinator, spread
from service.engine.database.statements import Prepared
from service.engine.database.transaction import db
from service.engine.database.types import Id, Time
from service.engine.ids import now
from service.models.ownership import declare

_ROWS_SWEPT = 10  # expired rows that an attempt removes: more than it adds


class SignInGuard(db.Model):  # type: ignore[name-defined,misc] # made at run time
    """The failures of one account, which may be an address that nobody has.

    `account` is a keyed hash, so that the table names neither accounts nor addresses.
    """

    __tablename__ = "sign_in_guards"

    account: Mapped[str] = mapped_column(sa.CHAR(64), primary_key=True)
    history: Mapped[str] = mapped_column(sa.Text)  # of domain.guard, as JSON
    expires_at: Mapped[str] = mapped_column(Time, index=True)

    @classmethod
    def lock(cls, account: str) -> str | None:
        """The history, if there is one; until the transaction ends nobody else has it."""
        moment = now()
        [row] = _lock.all(account=account, moment=moment)
        return row.history if row.expires_at > moment else None

    @classmethod
    def keep(cls, account: str, history: str, expires_at: str) -> None:
        """Write the history of a locked account: in one statement, whether there was one or not,
        so that nobody can tell by the time."""
        _keep.write(account=account, history=history, end=expires_at)

    @classmethod
    def forget(cls, account: str) -> None:
        """Remove the history of an account."""
        _forget.write(account=account)

    @classmethod
    def sweep(cls) -> None:
        """Remove a few rows that have expired, so that guessing does not fill the table."""
        _sweep.write(moment=now())


on_coordinator(SignInGuard)


class KnownNetwork(db.Model):  # type: ignore[name-defined,misc] # made at run time
    """A network from which a user has signed in, and its failures in a row since then."""

    __tablename__ = "known_networks"

    user_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    network: Mapped[str] = mapped_column(sa.String(49), primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    expires_at: Mapped[str] = mapped_column(Time, index=True)

    @classmethod
    def has(cls, user_id: str, network: str, most: int) -> bool:
        """Whether the user has signed in from there, with fewer failures in a row since then than
        `most`."""
        found = _known.first(user_id=user_id, network=network, moment=now(), most=most)
        return found is not None

    @classmethod
    def count(cls, user_id: str, network: str, failures: int) -> None:
        """Add this many failures."""
        _count.write(of_user=user_id, of_network=network, more=failures)

    @classmethod
    def add(cls, user_id: str, network: str, expires_at: str) -> bool:
        """Remember the network as known, without failures, until then; False if it was known."""
        if _renew.write(of_user=user_id, of_network=network, until=expires_at, moment=now()):
            return False
        _learn.write(of_user=user_id, of_network=network, until=expires_at)
        return True


spread(KnownNetwork.user_id)
declare(KnownNetwork.user_id, export="the user's sessions and events say where they came from")
# As text, because SQLAlchemy has an ON CONFLICT for each database and these two share one syntax.
# The first of an account's attempts has a row to lock as well: one that has expired already.
_lock = Prepared(
    sa.text(
        "INSERT INTO sign_in_guards (account, history, expires_at) VALUES (:account, '', :moment)"
        " ON CONFLICT (account) DO UPDATE SET history = sign_in_guards.history"
        " RETURNING history, expires_at"
    )
    .bindparams(bindparam("moment", type_=Time))
    .columns(sa.column("history", sa.Text), sa.column("expires_at", Time))
)
_keep = Prepared(
    sa.text(
        "INSERT INTO sign_in_guards (account, history, expires_at)"
        " VALUES (:account, :history, :end) ON CONFLICT (account)"
        " DO UPDATE SET history = excluded.history, expires_at = excluded.expires_at"
    ).bindparams(bindparam("end", type_=Time))
)
_forget = Prepared(sa.delete(SignInGuard).where(SignInGuard.account == bindparam("account")))
_expired = (
    sa.select(SignInGuard.account)
    .where(SignInGuard.expires_at <= bindparam("moment"))
    .limit(_ROWS_SWEPT)
    .with_for_update(skip_locked=True)
)
_sweep = Prepared(sa.delete(SignInGuard).where(SignInGuard.account.in_(_expired)))

_there = sa.and_(
    KnownNetwork.user_id == bindparam("of_user"), KnownNetwork.network == bindparam("of_network")
)
_known = Prepared(
    sa.select(KnownNetwork.user_id).where(
        KnownNetwork.user_id == bindparam("user_id"),
        KnownNetwork.network == bindparam("network"),
        KnownNetwork.expires_at > bindparam("moment"),
        KnownNetwork.failures < bindparam("most"),
    )
)
_count = Prepared(
    sa.update(KnownNetwork)
    .where(_there)
    .values(failures=KnownNetwork.failures + bindparam("more", type_=sa.Integer))
)
_renew = Prepared(
    sa.update(KnownNetwork)
    .where(_there, KnownNetwork.expires_at > bindparam("moment"))
    .values(failures=0, expires_at=bindparam("until", type_=Time))
)
_learn = Prepared(  # there may be a row that has expired
    sa.text(
        "INSERT INTO known_networks (user_id, network, failures, expires_at)"
        " VALUES (:of_user, :of_network, 0, :until) ON CONFLICT (user_id, network)"
        " DO UPDATE SET failures = 0, expires_at = excluded.expires_at"
    ).bindparams(bindparam("of_user", type_=Id), bindparam("until", type_=Time))
)
