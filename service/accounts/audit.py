"""Audit events of the request that is being answered."""

from __future__ import annotations

from uuid import UUID

import flask

from service.engine.call import KEY, Call
from service.models import AuditEvent


def record(action: str, user_id: str | UUID | None, *, actor_id: str | None = None) -> None:
    """Write down, in the request's transaction, what was done to an account and by whom: by
    `actor_id`, if the request came without a token."""
    call: Call = flask.request.environ[KEY]
    actor = call.claims.subject if call.claims else actor_id
    AuditEvent.record(action, actor_id=actor, user_id=user_id, ip=call.client.ip)
