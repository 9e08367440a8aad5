"""Sessions: a sign-in on one device, with the generation that its refresh token must carry."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.caller import Caller
from service.engine.database.distribution import spread
from service.engine.database.listing import Items, Listing
from service.engine.database.statements import Prepared, insertion
from service.engine.database.transaction import Row, db
from service.engine.database.types import Id, Time
from service.engine.ids import created_at, new_id, now
from service.models.challenges import Challenge
from service.models.ownership import Exported, declare
from service.models.users import ACCOUNT, User

MAX_SESSIONS_PER_USER = 100  # living ones
MAX_USER_AGENT_CHARACTERS = 255  # kept of the header
MAX_METHODS_CHARACTERS = 40


class Session(db.Model):  # type: ignore[name-defined,misc] # made at run time
    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    generation: Mapped[int] = mapped_column(default=0)
    seen: Mapped[int] = mapped_column(server_default="0")  # the newest generation presented
    ip: Mapped[str] = mapped_column(sa.String(45))
    user_agent: Mapped[str] = mapped_column(sa.String(MAX_USER_AGENT_CHARACTERS))
    created_at: Mapped[str] = mapped_column(Time)
    # NULL in a row of the previous release, which was authenticated when it was created.
    authenticated_at: Mapped[str | None] = mapped_column(Time)
    # Of `domain.authentication`, with spaces between; the previous release knew passwords only.
    methods: Mapped[str] = mapped_column(sa.String(MAX_METHODS_CHARACTERS), server_default="pwd")
    last_used_at: Mapped[str] = mapped_column(Time)  # the last rotation
    used_before: Mapped[str | None] = mapped_column(Time)  # the last one before its hour
    rotated_network: Mapped[str | None] = mapped_column(sa.String(45))
    rotated_agent: Mapped[str | None] = mapped_column(sa.String(MAX_USER_AGENT_CHARACTERS))
    expires_at: Mapped[str] = mapped_column(Time, index=True)

    @classmethod
    def start(
        cls,
        *,
        user_id: str,
        ip: str,
        user_agent: str,
        authenticated_at: str,
        methods: str,
        expires_at: str,
    ) -> str:
        """The new session's id; it is at generation 0.

        With `MAX_SESSIONS_PER_USER` living sessions it replaces the one used least recently, so the
        caller must hold the user's row locked: two sign-ins at once must not count the same ones.
        """
        id_ = new_id()
        moment = created_at(id_)
        _make_room.write(user_id=user_id, moment=moment, most=MAX_SESSIONS_PER_USER - 1)
        _insert.write(
            id=id_,
            user_id=user_id,
            generation=0,
            seen=0,
            ip=ip[:45],
            user_agent=user_agent[:MAX_USER_AGENT_CHARACTERS],
            created_at=moment,
            authenticated_at=authenticated_at,
            methods=methods,
            last_used_at=moment,
            used_before=None,
            rotated_network=None,
            rotated_agent=None,
            expires_at=expires_at,
        )
        return str(id_)

    @classmethod
    def live(cls, session_id: str, user_id: str) -> Row | None:
        """`ACCOUNT` and (expires_at, generation, seen, authenticated_at, methods), if session and
        user are good."""
        return _live.first(session_id=session_id, user_id=user_id, moment=now())

    @classmethod
    def rotate(cls, caller: Caller, *, network: str, user_agent: str) -> bool:
        """Replace the caller's generation by the next; False when it has been replaced already.

        One compare-and-swap decides which of those who present it is first.
        """
        moment = now()
        return bool(
            _rotate.write(
                **_generation_of(caller),
                moment=moment,
                hour=_hour(moment),
                network=network,
                agent=user_agent,
            )
        )

    @classmethod
    def rotation(cls, caller: Caller) -> Row | None:
        """(generation, seen, last_used_at, rotated_network, rotated_agent) of the caller's session,
        None when it has ended."""
        return _rotation.first(session_id=caller.session_id, user_id=caller.id)

    @classmethod
    def authenticate(cls, caller: Caller, moment: str, methods: str) -> Row | None:
        """Record that the user of the caller's session has proved who they are, at this moment and
        with these methods, earlier ones included: (generation,) of the session, None when it has
        ended."""
        return _authenticate.first(
            session_id=caller.session_id, user_id=caller.id, moment=moment, methods=methods
        )

    @classmethod
    def see(cls, caller: Caller) -> None:
        """Record that a token of the caller's generation was presented."""
        _see.write(**_generation_of(caller))

    @classmethod
    def of(cls, caller: Caller) -> Callable[..., Items]:
        """The listing of the caller's living sessions: the current one, then the others, newest
        first."""
        return partial(_of, caller)

    @classmethod
    def end(cls, session_id: UUID | str, user_id: str) -> bool:
        """End one session of this user; False when there is none."""
        return bool(_end.write(session_id=session_id, user_id=user_id))

    @classmethod
    def end_all(cls, user_id: UUID | str, *, but: str | None = None) -> bool:
        """End every session of this user but one, and what was begun to start or change one; False
        when there was no session to end."""
        Challenge.revoke_all(user_id)
        return bool(_end_all.write(user_id=user_id, but=but))


spread(Session.user_id)
declare(Session.user_id, export=Exported("session", Session.of))
_insert = insertion(Session)
_mine = sa.and_(
    Session.id == bindparam("session_id"),
    Session.user_id == bindparam("user_id"),
)
_live = Prepared(
    sa.select(
        *ACCOUNT,
        Session.expires_at,
        Session.generation,
        Session.seen,
        sa.func.coalesce(Session.authenticated_at, Session.created_at).label("authenticated_at"),
        Session.methods,
    )
    .select_from(Session)
    .join(User, User.id == Session.user_id)
    .where(_mine, Session.expires_at > bindparam("moment"), User.disabled.is_(False))
)
_rotate = Prepared(
    sa.update(Session)
    .where(_mine, Session.generation == bindparam("generation_"))
    .values(
        generation=Session.generation + 1,
        seen=Session.generation,
        last_used_at=bindparam("moment", type_=Time),
        used_before=sa.case(
            (Session.last_used_at < bindparam("hour", type_=Time), Session.last_used_at),
            else_=Session.used_before,
        ),
        rotated_network=bindparam("network"),
        rotated_agent=bindparam("agent"),
    )
)
_rotation = Prepared(
    sa.select(
        Session.generation,
        Session.seen,
        Session.last_used_at,
        Session.rotated_network,
        Session.rotated_agent,
    ).where(_mine)
)
_authenticate = Prepared(
    sa.update(Session)
    .where(_mine)
    .values(
        authenticated_at=bindparam("moment", type_=Time),
        methods=bindparam("methods"),
    )
    .returning(Session.generation)
)
_see = Prepared(
    sa.update(Session)
    .where(
        _mine,
        Session.seen < bindparam("generation_"),
        Session.generation >= bindparam("generation_"),
    )
    .values(seen=bindparam("generation_"))
)
_listing = Listing(
    sa.select(
        Session.id,
        Session.created_at,
        Session.last_used_at,
        Session.used_before,
        Session.ip,
        Session.user_agent,
    ),
    key=Session.id,
    user_id=Session.user_id == bindparam("user_id"),
    living_at=Session.expires_at > bindparam("living_at"),
    only=Session.id == bindparam("only"),
    but=Session.id != bindparam("but"),
)
_kept = sa.orm.aliased(Session)
_make_room = Prepared(
    sa.delete(Session).where(
        Session.user_id == bindparam("user_id"),
        Session.id.not_in(
            sa.select(_kept.id)
            .where(_kept.user_id == bindparam("user_id"), _kept.expires_at > bindparam("moment"))
            .order_by(_kept.last_used_at.desc(), _kept.id.desc())
            .limit(bindparam("most"))
        ),
    )
)
_end = Prepared(sa.delete(Session).where(_mine))
_end_all = Prepared(
    sa.delete(Session).where(
        Session.user_id == bindparam("user_id"),
        sa.or_(bindparam("but", type_=Id).is_(None), Session.id != bindparam("but", type_=Id)),
    )
)


def _generation_of(caller: Caller) -> dict[str, Any]:
    return {
        "session_id": caller.session_id,
        "user_id": caller.id,
        "generation_": caller.generation,
    }


def _of(caller: Caller, limit: int, after: UUID | None = None, order: str = "newest") -> Items:
    """At most `limit` sessions of the caller behind the one with the id `after`.

    The current one leads the first page and is on no other, so that `after` never repeats it.
    """
    of_caller: dict[str, Any] = {"user_id": caller.id, "living_at": now()}
    found = [] if after else _listing(1, only=caller.session_id, **of_caller).rows
    behind = None if str(after) == caller.session_id else after
    if len(found) < limit:
        rest = limit - len(found)
        found += _listing(rest, behind, order, but=caller.session_id, **of_caller).rows
    return Items([_shape(fields, caller) for fields in found])


def _shape(fields: dict[str, Any], caller: Caller) -> dict[str, Any]:
    before = fields.pop("used_before") or fields["created_at"]
    # Show the hour only once it is over: a thief must not see the time of a rotation.
    shown = fields["last_used_at"] if fields["last_used_at"] < _hour(now()) else before
    is_current = fields["id"] == caller.session_id
    return {**fields, "last_used_at": _hour(shown), "current": is_current}


def _hour(moment: str) -> str:
    """The beginning of the hour of a moment in RFC 3339 with milliseconds."""
    return f"{moment[:13]}:00:00.000Z"
