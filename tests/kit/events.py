"""Common requests and assertions in the tests of audit events."""

from __future__ import annotations

import ipaddress
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from service.models import AuditEvent
from service.specification import specification
from tests.kit.serving import Person, Server
from tests.kit.statements import noted

ACTIONS: list[str] = specification.document["components"]["schemas"]["AuditAction"]["enum"]
PATH = "/api/audit-events"
# Actions with a case in another file than test_audit_actions.py.
TRIED_ELSEWHERE = {"sign-in-blocked"}  # with the guard on: tests/web/test_strangers.py
TRIED_ELSEWHERE |= {"passkey-added", "passkey-removed"}  # tests/accounts/test_passkeys.py
TRIED_ELSEWHERE |= {"passkey-refused"}  # tests/accounts/test_passkey_logins.py
# In tests/accounts, in test_personal_tokens.py and test_ended_tokens.py.
TRIED_ELSEWHERE |= {action for action in ACTIONS if action.startswith("personal-token-")}
# tests/accounts/test_totp.py, test_second_factors.py and test_factor_resets.py
TRIED_ELSEWHERE |= {"totp-added", "totp-removed", "second-factor-failed", "recovery-code-used"}
TRIED_ELSEWHERE |= {"recovery-codes-renewed", "factor-reset-requested", "factor-reset-stopped"}
TRIED_ELSEWHERE |= {"factors-reset"}

# Their addresses, as the proxy in front of the server reports them.
ANNA_AT, ADMIN_AT, ELSEWHERE = "203.0.113.7", "2001:db8::2", "192.0.2.9"

Written = tuple[str, str | None, str | None, str]  # action, actor_id, user_id, ip


@dataclass
class Scene:
    """A user, an administrator and a client without a token, each with their own IP address."""

    server: Server
    anna: Person
    admin: Person

    def __post_init__(self) -> None:
        self.nobody = self.server.client(**forwarded(ELSEWHERE))
        self.anna.http.headers.update(forwarded(ANNA_AT))
        self.admin.http.headers.update(forwarded(ADMIN_AT))


def forwarded(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


def changes() -> AbstractContextManager[list[str]]:
    """The statements that change events, as the service runs them during the block."""
    return noted(r"^\s*(UPDATE|DELETE FROM|ALTER TABLE|DROP TABLE) audit_events\b", requests=False)


def latest(server: Server) -> str:
    """The id of the newest event."""
    newest = select(AuditEvent.id).order_by(AuditEvent.id.desc()).limit(1)
    rows = server.execute(newest)
    return rows[0].id if rows else str(UUID(int=0))


def written(server: Server, after: str) -> list[Written]:
    """The events newer than `after`, oldest first; checks that each contains only what it may."""
    table = AuditEvent.__table__
    rows = server.execute(select(table).where(table.c.id > after).order_by(table.c.id))
    for row in rows:
        assert row._fields == ("id", "action", "actor_id", "user_id", "ip")
        assert row.action in ACTIONS
        assert all(UUID(id_) for id_ in (row.id, row.actor_id, row.user_id) if id_)
        assert not row.ip or ipaddress.ip_address(row.ip)
    return [(row.action, row.actor_id, row.user_id, row.ip) for row in rows]


def listed(http: httpx.Client, **filters: Any) -> list[dict[str, Any]]:
    """All events of a listing, from all its pages."""
    found = []
    answer = http.get(PATH, params={"limit": 100, **filters})
    while True:
        assert answer.status_code == 200, answer.text
        found += answer.json()
        if "next" not in answer.links:
            return found
        answer = http.get(answer.links["next"]["url"])
