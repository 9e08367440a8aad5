"""Who calls, as far as the engine asks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class Caller(Protocol):
    """Who calls, as the database has them at this moment; a service's own class may say more."""

    @property
    def id(self) -> str: ...

    @property
    def role(self) -> str:
        """What `x-required-role` is compared with."""

    @property
    def scopes(self) -> Collection[str]:
        """What the personal token of this request may do; not asked of a session."""

    @property
    def is_admin(self) -> bool:
        """Whether they may change what belongs to others."""
