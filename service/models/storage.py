"""What a user stores, in bytes: a counter in the row of the user, changed with what it counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import bindparam

from service.engine.database.statements import Prepared
from service.models.users import User
from service.problems import QuotaExceeded, SessionRevoked


class Storage(NamedTuple):
    """Bytes that a user stores somewhere."""

    user_id: str
    size: int

    def take(self, quota: int) -> None:
        """Count them; the user's row is locked until the transaction ends.

        Raises `QuotaExceeded`, or `SessionRevoked` when the user has just been deleted.
        """
        self.check(_take.write(**self.taking(quota)))

    def taking(self, quota: int) -> dict[str, Any]:
        """The parameters of `TAKE`."""
        return {"user": self.user_id, "size": self.size, "most": quota - self.size}

    def check(self, rows: int) -> None:
        """Raises as `take` does if `TAKE` has found no row."""
        if not rows:
            raise QuotaExceeded if _is_there.first(user=self.user_id) else SessionRevoked

    def add(self) -> None:
        """Count them whatever the quota: what is stored with an answer to be repeated."""
        _add.write(user=self.user_id, size=self.size)

    def give_back(self) -> None:
        """Count them no more."""
        _add.write(user=self.user_id, size=-self.size)


def add_all(found: Iterable[tuple[str, int]]) -> None:
    """Count (user_id, size) pairs, or no more those with a negative size."""
    totals: dict[str, int] = {}
    for user_id, size in found:
        totals[user_id] = totals.get(user_id, 0) + size
    for user_id in sorted(totals):  # in one order, so that two who do this do not deadlock
        Storage(user_id, totals[user_id]).add()


# NULL until `stored_bytes.fill` has counted what the previous release has stored; it stays NULL.
_user = User.id == bindparam("user")
_size = bindparam("size", type_=sa.BigInteger)
_more = User.stored_bytes + _size
TAKE = (
    sa.update(User)
    .where(
        _user,
        User.deleted.is_(False),
        sa.or_(
            User.stored_bytes.is_(None),
            User.stored_bytes <= bindparam("most", type_=sa.BigInteger),
        ),
    )
    .values(stored_bytes=_more)
)
_take = Prepared(TAKE)
_add = Prepared(
    sa.update(User)
    .where(_user)
    .values(stored_bytes=sa.case((_more < 0, sa.literal_column("0")), else_=_more))
)
_is_there = Prepared(sa.select(User.id).where(_user, User.deleted.is_(False)))
