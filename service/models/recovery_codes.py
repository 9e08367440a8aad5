"""Recovery codes, of which only the hashes are stored: each is deleted when it is used."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.engine.database.distribution import spread
from service.engine.database.statements import Prepared, insertion
from service.engine.database.transaction import db
from service.engine.database.types import Id
from service.models.ownership import declare


class RecoveryCode(db.Model):  # type: ignore[name-defined,misc] # made at run time
    __tablename__ = "recovery_codes"

    user_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    code_hash: Mapped[str] = mapped_column(sa.CHAR(64), primary_key=True)

    @classmethod
    def renew(cls, user_id: str, hashes: list[str]) -> None:
        """Replace all codes by those with these hashes. The caller must hold the user's row
        locked."""
        _remove_all.write(of=user_id)
        for digest in hashes:
            _insert.write(user_id=user_id, code_hash=digest)

    @classmethod
    def peek(cls, user_id: str, digest: str) -> bool:
        """Whether a code of the user's has this hash, read outside the request's transaction."""
        return bool(_find.peek(of=user_id, hash=digest))

    @classmethod
    def use(cls, user_id: str, digest: str) -> bool:
        """Use the code with this hash up; False if the user has none. Of two requests at once, one
        gets True."""
        return bool(_use.write(of=user_id, hash=digest))

    @classmethod
    def count(cls, user_id: UUID | str) -> int:
        """The number of codes that the user has left."""
        row = _count.first(of=user_id)
        return row.number if row else 0

    @classmethod
    def remove_all(cls, user_id: UUID | str) -> None:
        """Forget the user's codes."""
        _remove_all.write(of=user_id)


spread(RecoveryCode.user_id)
declare(RecoveryCode.user_id, export="only the hashes of the codes are known")
_insert = insertion(RecoveryCode)
_mine = RecoveryCode.user_id == bindparam("of")
_this = sa.and_(_mine, RecoveryCode.code_hash == bindparam("hash"))
_find = Prepared(sa.select(RecoveryCode.user_id).where(_this))
_use = Prepared(sa.delete(RecoveryCode).where(_this))
_count = Prepared(sa.select(sa.func.count().label("number")).select_from(RecoveryCode).where(_mine))
_remove_all = Prepared(sa.delete(RecoveryCode).where(_mine))
