"""Personal tokens: credentials that a user makes for programs, each for some scopes and a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.engine.database.distribution import on_coordinator
from service.engine.database.listing import Items, Listing
from service.engine.database.statements import Prepared, insertion
from service.engine.database.transaction import Row, db
from service.engine.database.types import Id, Time
from service.engine.ids import created_at, new_id, now, rfc3339
from service.models.ownership import Exported, declare
from service.models.users import ACCOUNT, User
from service.problems import TooManyTokens

MAX_TOKENS_PER_USER = 50  # living ones
REMINDER = timedelta(days=7)  # before the end; a token that lasts no longer than that has none


class Secret(NamedTuple):
    """What is stored of a token: its SHA-256, and the beginning by which its owner knows it."""

    hash: str
    prefix: str


class PersonalToken(db.Model):  # type: ignore[name-defined,misc] # made at run time
    __tablename__ = "personal_tokens"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    token_hash: Mapped[str] = mapped_column(sa.CHAR(64), unique=True)
    prefix: Mapped[str] = mapped_column(sa.String(20))
    name: Mapped[str] = mapped_column(sa.String(100))
    scopes: Mapped[str] = mapped_column(sa.Text)  # words with spaces between them
    created_at: Mapped[str] = mapped_column(Time)
    last_used_at: Mapped[str | None] = mapped_column(Time)  # the beginning of that hour
    remind_at: Mapped[str | None] = mapped_column(Time, index=True)  # NULL once that is done
    expires_at: Mapped[str] = mapped_column(Time, index=True)

    @classmethod
    def create(
        cls,
        user_id: str,
        secret: Secret,
        *,
        name: str,
        scopes: Sequence[str],
        expires_in: int,
    ) -> dict[str, Any]:
        """An IssuedPersonalToken without the token; `expires_in` is in seconds. Raises
        `TooManyTokens`.

        The caller must hold the user's row locked: two at once must not count the same tokens.
        """
        id_ = new_id()
        moment = datetime.now(UTC)
        end = moment + timedelta(seconds=expires_in)
        counted = _count.first(user_id=user_id, living_at=rfc3339(moment))
        if counted and counted.number >= MAX_TOKENS_PER_USER:
            raise TooManyTokens
        row = {
            "id": str(id_),
            "name": name,
            "scopes": " ".join(dict.fromkeys(scopes)),
            "prefix": secret.prefix,
            "created_at": created_at(id_),
            "expires_at": rfc3339(end),
        }
        reminder = rfc3339(end - REMINDER) if end - REMINDER > moment else None
        secrets = {"user_id": user_id, "token_hash": secret.hash}
        _insert.write(**row, **secrets, last_used_at=None, remind_at=reminder)
        return _shape(row)

    @classmethod
    def bearer(cls, token_hash: str) -> Row | None:
        """`ACCOUNT` and (token_id, scopes, is_expired, is_noted) behind a token of a user who is
        not disabled; `is_noted` says that its use in this hour is recorded."""
        moment = now()
        return _bearer.first(hash=token_hash, moment=moment, hour=_hour(moment))

    @classmethod
    def note_use(cls, token_id: str) -> None:
        """Record that a token was used in this hour."""
        _note_use.write(of=token_id, hour=_hour(now()))

    @classmethod
    def of(cls, user_id: str) -> Callable[..., Items]:
        """The listing of a user's living tokens."""
        return partial(_listing, user_id=user_id, living_at=now())

    @classmethod
    def revoke(cls, token_id: UUID, user_id: str) -> bool:
        """End a token of this user; False when there is none."""
        return bool(_revoke.write(of=token_id, user_id=user_id))

    @classmethod
    def revoke_by_hash(cls, token_hash: str) -> Row | None:
        """End the token with this hash; (user_id, prefix), or None when there is none."""
        return _revoke_by_hash.first(hash=token_hash)

    @classmethod
    def revoke_by_id(cls, token_id: UUID) -> Row | None:
        """End a token, whoever's it is; (user_id, prefix), or None when there is none."""
        return _revoke_by_id.first(of=token_id)

    @classmethod
    def revoke_all(cls, user_id: UUID | str) -> None:
        """End every token of this user."""
        _revoke_all.write(user_id=user_id)

    @classmethod
    def user_to_remind(cls) -> str | None:
        """Somebody one of whose tokens expires soon; read outside of a transaction."""
        row = _due.peek(moment=now())
        return row.user_id if row else None

    @classmethod
    def take_reminders(cls, user_id: str) -> list[Row]:
        """(prefix, expires_at) of the tokens of which to remind this user, each once: of two
        transactions at once, one gets it."""
        return _take.all(user_id=user_id, moment=now())


on_coordinator(PersonalToken)
declare(
    PersonalToken.user_id,
    export=Exported("personal_token", lambda caller: PersonalToken.of(caller.id)),
)
_insert = insertion(PersonalToken)
_its_owner = PersonalToken.user_id == bindparam("user_id")
_is_living = PersonalToken.expires_at > bindparam("living_at", type_=Time)
_count = Prepared(
    sa.select(sa.func.count().label("number"))
    .select_from(PersonalToken)
    .where(_its_owner, _is_living)
)
_is_expired = PersonalToken.expires_at <= bindparam("moment", type_=Time)
_noted = PersonalToken.last_used_at >= bindparam("hour", type_=Time)
_bearer = Prepared(
    sa.select(
        PersonalToken.id.label("token_id"),
        PersonalToken.scopes,
        *ACCOUNT,
        sa.type_coerce(_is_expired, sa.Integer).label("is_expired"),
        sa.type_coerce(_noted, sa.Integer).label("is_noted"),
    )
    .select_from(PersonalToken)
    .join(User, User.id == PersonalToken.user_id)
    .where(PersonalToken.token_hash == bindparam("hash"), User.disabled.is_(False))
)
_note_use = Prepared(
    sa.update(PersonalToken)
    .where(
        PersonalToken.id == bindparam("of"),
        sa.or_(
            PersonalToken.last_used_at.is_(None),
            PersonalToken.last_used_at < bindparam("hour", type_=Time),
        ),
    )
    .values(last_used_at=bindparam("hour", type_=Time))
)
_revoke = Prepared(sa.delete(PersonalToken).where(PersonalToken.id == bindparam("of"), _its_owner))
_told = (PersonalToken.user_id, PersonalToken.prefix)
_revoke_by_hash = Prepared(
    sa.delete(PersonalToken).where(PersonalToken.token_hash == bindparam("hash")).returning(*_told)
)
_revoke_by_id = Prepared(
    sa.delete(PersonalToken).where(PersonalToken.id == bindparam("of")).returning(*_told)
)
_revoke_all = Prepared(sa.delete(PersonalToken).where(_its_owner))
_is_due = PersonalToken.remind_at <= bindparam("moment", type_=Time)
_due = Prepared(
    sa.select(PersonalToken.user_id).where(_is_due).order_by(PersonalToken.remind_at).limit(1)
)
_take = Prepared(
    sa.update(PersonalToken)
    .where(_its_owner, _is_due)
    .values(remind_at=None)
    .returning(PersonalToken.prefix, PersonalToken.expires_at)
)


def _shape(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "scopes": fields["scopes"].split()}


_shown = (
    PersonalToken.id,
    PersonalToken.name,
    PersonalToken.scopes,
    PersonalToken.prefix,
    PersonalToken.created_at,
    PersonalToken.expires_at,
    PersonalToken.last_used_at,
)
_listing = Listing(
    sa.select(*_shown),
    key=PersonalToken.id,
    shape=lambda row: _shape(dict(zip((column.key for column in _shown), row, strict=True))),
    user_id=_its_owner,
    living_at=_is_living,
)


def _hour(moment: str) -> str:
    """The beginning of the hour of a moment in RFC 3339 with milliseconds."""
    return f"{moment[:13]}:00:00.000Z"
