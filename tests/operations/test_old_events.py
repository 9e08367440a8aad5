"""Audit events are forgotten by age, as docs/operations.md has it, on each database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from service.engine.ids import first_id_from
from service.models import AuditEvent
from tests.kit.operations_guide import snippet
from tests.kit.serving import Server

YEAR = timedelta(days=365)


def test_only_events_older_than_two_years_that_prove_no_address_are_deleted(
    server: Server,
) -> None:
    moment = datetime.now(UTC)
    ages = 3 * YEAR, YEAR, 4 * YEAR
    old, young, proof = (str(first_id_from(moment - age)) for age in ages)
    for id_ in (old, young, proof):
        action = "email-verified" if id_ == proof else "login"
        server.execute(sa.insert(AuditEvent).values(id=id_, action=action, ip=""))
    engine = "SQLite" if server.settings.embedded else "PostgreSQL"

    server.execute(sa.text(snippet(f"forget old events on {engine}").replace("::", r"\:\:")))

    kept = sa.select(AuditEvent.id).where(AuditEvent.id.in_([old, young, proof]))
    assert server.execute(kept.order_by(AuditEvent.id)) == [(proof,), (young,)]
