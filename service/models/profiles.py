"""Public profiles of users, with a version of their own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam

from service.engine.database.listing import Listing
from service.engine.database.statements import Prepared
from service.engine.problems import NotFound
from service.models.users import User, profile_tag


class Profile:
    """The public part of the row of a user."""

    @classmethod
    def of(cls, user_id: UUID) -> dict[str, Any]:
        """The public User; raises `NotFound`."""
        row = _profile.first(id=user_id)
        if row is None:
            raise NotFound
        return {"etag": profile_tag(row.username, row.bio), **row._asdict()}

    listing: Listing


_public = sa.select(User.id, User.username, User.bio, User.created_at).where(
    User.deleted.is_(False)
)
_profile = Prepared(_public.where(User.id == bindparam("id")))
Profile.listing = Listing(
    _public,
    key=User.id,
    username=User.username == bindparam("username"),
)
