"""What FastAPI validates with: the schemas of Byline's specification as pydantic models."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Title = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Content = Annotated[str, StringConstraints(min_length=1, max_length=100_000)]


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class NewPost(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: Title
    content: Content


class Author(_Answer):
    id: str
    username: str


class Post(_Answer):
    id: str
    title: str
    content: str
    author: Author
    created_at: str
    updated_at: str


class Account(_Answer):
    id: str
    email: str
    email_verified: bool
    username: str
    bio: str
    role: str
    disabled: bool
    created_at: str
    updated_at: str
