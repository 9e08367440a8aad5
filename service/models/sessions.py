"""Sessions: a sign-in on one device, with the generation that its refresh token must carry."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Id, Row, Time, db
from service.ids import created_at, new_id, now
from service.models.caller import Caller
from service.models.users import User
from service.statements import Prepared, insertion


class Session(db.Model):  # type: ignore[name-defined,misc] # made at run time
    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    generation: Mapped[int] = mapped_column(default=0)
    ip: Mapped[str] = mapped_column(sa.String(45))
    user_agent: Mapped[str] = mapped_column(sa.String(255))
    created_at: Mapped[str] = mapped_column(Time)
    last_used_at: Mapped[str] = mapped_column(Time)
    expires_at: Mapped[str] = mapped_column(Time, index=True)

    @classmethod
    def start(cls, *, user_id: str, ip: str, user_agent: str, expires_at: str) -> str:
        """The new session's id; it is at generation 0."""
        id_ = new_id()
        moment = created_at(id_)
        _insert.write(
            id=id_,
            user_id=user_id,
            generation=0,
            ip=ip[:45],
            user_agent=user_agent[:255],
            created_at=moment,
            last_used_at=moment,
            expires_at=expires_at,
        )
        return str(id_)

    @classmethod
    def live(cls, session_id: str, user_id: str) -> Row | None:
        """(email, username, role, version, expires_at), if session and user are good."""
        return _live.first(session_id=session_id, user_id=user_id, moment=now())

    @classmethod
    def rotate(
        cls, session_id: str, user_id: str, generation: int, *, grace_since: str
    ) -> int | None:
        """The generation that is current after presenting `generation`, or None for a reuse.

        One compare-and-swap decides. The immediate predecessor gets the current generation again
        as long as the rotation is not older than `grace_since`.
        """
        presented = {"session_id": session_id, "user_id": user_id, "generation_": generation}
        if _rotate.write(**presented, moment=now()):
            return generation + 1
        again = _again.first(**presented, since=grace_since)
        return generation + 1 if again else None

    @classmethod
    def of_user(cls, caller: Caller) -> list[dict[str, Any]]:
        """The caller's living sessions, newest first, as the specification has them."""
        rows = _of_user.all(user_id=caller.id, moment=now())
        return [{**row._asdict(), "current": row.id == caller.session_id} for row in rows]

    @classmethod
    def end(cls, session_id: UUID | str, user_id: str) -> bool:
        """End one session of this user; False when there is none."""
        return bool(_end.write(session_id=session_id, user_id=user_id))

    @classmethod
    def end_all(cls, user_id: UUID | str, *, but: str | None = None) -> bool:
        """End every session of this user but one; False when there was none to end."""
        return bool(_end_all.write(user_id=user_id, but=but))


_insert = insertion(Session)
_mine = sa.and_(
    Session.id == bindparam("session_id"),
    Session.user_id == bindparam("user_id"),
)
_live = Prepared(
    sa.select(User.email, User.username, User.role, User.version, Session.expires_at)
    .select_from(Session)
    .join(User, User.id == Session.user_id)
    .where(_mine, Session.expires_at > bindparam("moment"), User.disabled.is_(False))
)
_rotate = Prepared(
    sa.update(Session)
    .where(_mine, Session.generation == bindparam("generation_"))
    .values(generation=Session.generation + 1, last_used_at=bindparam("moment", type_=Time))
)
_again = Prepared(
    sa.select(Session.id).where(
        _mine,
        Session.generation == bindparam("generation_", type_=sa.Integer) + 1,
        Session.last_used_at >= bindparam("since"),
    )
)
_of_user = Prepared(
    sa.select(Session.id, Session.created_at, Session.last_used_at, Session.ip, Session.user_agent)
    .where(Session.user_id == bindparam("user_id"), Session.expires_at > bindparam("moment"))
    .order_by(Session.id.desc())
    .limit(100)
)
_end = Prepared(sa.delete(Session).where(_mine))
_end_all = Prepared(
    sa.delete(Session).where(
        Session.user_id == bindparam("user_id"),
        sa.or_(bindparam("but", type_=Id).is_(None), Session.id != bindparam("but", type_=Id)),
    )
)
