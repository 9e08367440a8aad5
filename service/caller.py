"""The caller of a request, for every layer below the security check."""

from __future__ import annotations

from typing import Any, NamedTuple


class Caller(NamedTuple):
    """The session of a request and its user, as read from the database.

    `session_end` is the latest end of the session, `generation` the one in the token.
    `authenticated_at` and `methods` (as in `Session.methods`) say when and how the user proved who
    they are. `by_cookie` says that the token was in a cookie.

    `row` is the user's row as it was read with the session, for `account_rows.account`.

    With a personal token there is no session, and `session_id` is empty; `scopes` are the token's.
    """

    id: str
    email: str
    username: str
    role: str
    session_id: str
    session_end: str
    generation: int = 0
    authenticated_at: str = ""
    methods: str = ""
    scopes: frozenset[str] = frozenset()
    by_cookie: bool = False
    row: Any = None

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"
