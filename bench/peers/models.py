"""Byline's tables as the ORM has them: ids are the text of UUIDv7s, times are text too."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


def new_id() -> str:
    """A UUIDv7 (RFC 9562, section 5.7)."""
    milliseconds = time.time_ns() // 1_000_000
    high = milliseconds << 16 | 0x7000 | secrets.randbits(12)
    return str(UUID(int=high << 64 | 0b10 << 62 | secrets.randbits(62)))


def now() -> str:
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str]
    email_verified: Mapped[bool]
    username: Mapped[str]
    bio: Mapped[str]
    password_hash: Mapped[str]
    role: Mapped[str]
    disabled: Mapped[bool]
    version: Mapped[int]
    created_at: Mapped[str]
    updated_at: Mapped[str]


class Session(Base):
    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id"))
    expires_at: Mapped[str]


class Post(Base):
    __tablename__ = "posts"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    author_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id"))
    title: Mapped[str]
    content: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[str] = mapped_column(default=now)
    updated_at: Mapped[str] = mapped_column(default=now)

    # In one statement, as a join: not one more for each post of a page.
    author: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class PostDocument(Base):
    __tablename__ = "post_documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[str] = mapped_column(sa.ForeignKey("posts.id"))
    words: Mapped[str]
    lexemes: Mapped[str | None]
