"""Byline's tables on PostgreSQL as the ORM has them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from bench.peers.models import new_id


def now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    type_annotation_map = {datetime: sa.TIMESTAMP(timezone=True)}  # noqa: RUF012 # as SQLAlchemy documents it


class User(Base):
    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    email_verified: Mapped[bool]
    username: Mapped[str]
    bio: Mapped[str]
    role: Mapped[str]
    disabled: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Session(Base):
    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"))
    expires_at: Mapped[datetime]


class Post(Base):
    __tablename__ = "posts"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=lambda: UUID(new_id()))
    author_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"))
    title: Mapped[str]
    content: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)

    # In one statement, as a join: not one more for each post of a page.
    author: Mapped[User] = relationship(lazy="joined", innerjoin=True)
