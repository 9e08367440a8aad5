"""Audit events of the request that is being answered."""

from __future__ import annotations

from uuid import UUID

from service.engine.request import current_request
from service.models import AuditEvent


def record(action: str, user_id: str | UUID | None, *, actor_id: str | None = None) -> None:
    """Record, in the request's transaction, what was done to an account and by whom: the caller, or
    `actor_id` if the request has no token."""
    request = current_request.get()
    actor = request.claims.subject if request.claims else actor_id
    AuditEvent.record(action, actor_id=actor, user_id=user_id, ip=request.client.ip)
