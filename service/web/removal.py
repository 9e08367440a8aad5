"""The end of an account, in the one way that there is, whoever asks for it."""

from __future__ import annotations

from uuid import UUID

from service.models import IdempotencyKey, Mail, User
from service.models.caller import Caller


def remove_account(user_id: UUID, caller: Caller, if_match: list[str] | None = None) -> None:
    """Remove an account with everything that belongs to it, as `caller` may.

    Raises `NotFound`, `Forbidden`, `PreconditionFailed` or `LastAdmin`.
    """
    User.delete(user_id, caller, if_match)
    Mail.forget(user_id)
    IdempotencyKey.forget_account(user_id)


def remove_disputed(owner: Caller | None) -> None:
    """Remove the account of an owner who never had the address that it was registered with."""
    if owner:
        remove_account(UUID(owner.id), owner)
