"""The answers of Byline's specification as pydantic models, with PostgreSQL's types."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Author(_Answer):
    id: UUID
    username: str


class Post(_Answer):
    id: UUID
    title: str
    content: str
    author: Author
    created_at: datetime
    updated_at: datetime


class Account(_Answer):
    id: UUID
    email: str
    email_verified: bool
    username: str
    bio: str
    role: str
    disabled: bool
    created_at: datetime
    updated_at: datetime
