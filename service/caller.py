"""Who calls, as every layer below the security check knows them."""

from __future__ import annotations

from typing import NamedTuple


class Caller(NamedTuple):
    """Who calls: a living session and its user, as the database has them at this moment.

    `session_end` is when the session ends at the latest, `generation` the one in the token.
    """

    id: str
    email: str
    username: str
    role: str
    session_id: str
    session_end: str
    generation: int = 0

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"
