"""Audit events of accounts."""

from datetime import datetime
from uuid import UUID

from service.caller import Caller
from service.engine.ids import first_id_after
from service.engine.spec.paging import page
from service.models import AuditEvent


def list_audit_events(
    caller: Caller,
    limit: int,
    after: UUID | None = None,
    actor_id: UUID | None = None,
    action: str | None = None,
    created_after: datetime | None = None,
):
    listing = AuditEvent.visible_to(caller)
    later = created_after and first_id_after(created_after)
    return page(listing, limit, after, actor_id=actor_id, action=action, later=later)
