"""User names that were given up: for 90 days nobody else may take one and impersonate its user."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.engine.database.distribution import on_coordinator
from service.engine.database.statements import Prepared
from service.engine.database.transaction import db
from service.engine.database.types import Id, Time
from service.engine.ids import now, rfc3339
from service.models.ownership import declare
from service.problems import UsernameTaken

REST_PERIOD = timedelta(days=90)
MAX_RESTING_PER_USER = 10  # so that nobody can block more by renaming an account again and again


class RestingUsername(db.Model):  # type: ignore[name-defined,misc] # made at run time
    """`user_id` may take the name back; NULL once the account is deleted."""

    __tablename__ = "resting_usernames"

    username: Mapped[str] = mapped_column(sa.String(30), primary_key=True)
    user_id: Mapped[str | None] = mapped_column(
        Id, sa.ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    expires_at: Mapped[str] = mapped_column(Time, index=True)

    @classmethod
    def check(cls, username: str, user_id: UUID | str) -> None:
        """Raise `UsernameTaken` if the name rests for others than this user.

        Call it after the name is written to `users`: that waits for a transaction that is giving
        the name up, and only then this statement sees what the other one has committed.
        """
        if _resting.first(name=username, of=user_id, moment=now()):
            raise UsernameTaken("The user name was given up less than 90 days ago.")

    @classmethod
    def forget(cls, user_id: UUID, username: str | None = None) -> None:
        """Let a name of this user rest no more, or all of them."""
        _forget.write(of=user_id, name=username)

    @classmethod
    def rest(cls, username: str, user_id: UUID | None) -> None:
        """Reserve a name from now on; the user `user_id` may take it back."""
        expiry = rfc3339(datetime.now(UTC) + REST_PERIOD)
        _rest.write(name=username, of=user_id, expiry=expiry)
        if user_id:
            _forget_oldest.write(of=user_id)


on_coordinator(RestingUsername)
declare(
    RestingUsername.user_id,
    export="the events of the account say when it had another name",
    kept="the name rests on without its user",
)
_resting = Prepared(
    sa.select(RestingUsername.username).where(
        RestingUsername.username == bindparam("name"),
        RestingUsername.expires_at > bindparam("moment"),
        sa.or_(RestingUsername.user_id.is_(None), RestingUsername.user_id != bindparam("of")),
    )
)
# As text, because SQLAlchemy has an ON CONFLICT for each database and these two share one syntax.
_rest = Prepared(
    sa.text(
        "INSERT INTO resting_usernames (username, user_id, expires_at) VALUES (:name, :of, :expiry)"
        " ON CONFLICT (username) DO UPDATE"
        " SET user_id = excluded.user_id, expires_at = excluded.expires_at"
    ).bindparams(bindparam("of", type_=Id), bindparam("expiry", type_=Time))
)
_forget = Prepared(
    sa.delete(RestingUsername).where(
        RestingUsername.user_id == bindparam("of"),
        sa.or_(
            bindparam("name", type_=sa.Text).is_(None),
            RestingUsername.username == bindparam("name", type_=sa.Text),
        ),
    )
)
_newest = (
    sa.select(RestingUsername.username)
    .where(RestingUsername.user_id == bindparam("of"))
    .order_by(RestingUsername.expires_at.desc(), RestingUsername.username)
    .limit(sa.literal_column(str(MAX_RESTING_PER_USER)))
)
_forget_oldest = Prepared(
    sa.delete(RestingUsername).where(
        RestingUsername.user_id == bindparam("of"), RestingUsername.username.not_in(_newest)
    )
)
