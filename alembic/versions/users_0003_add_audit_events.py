"""Add audit events; without foreign keys, because they outlive the users."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "users_0003"
down_revision = "users_0002"
branch_labels = None
depends_on = None

ID = sa.CHAR(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", ID, nullable=False),
        sa.Column("action", sa.String(30), nullable=False),
        sa.Column("actor_id", ID, nullable=True),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("ip", sa.String(45), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    for column in ("action", "actor_id", "user_id"):
        op.create_index(op.f(f"ix_audit_events_{column}_id"), "audit_events", [column, "id"])


def downgrade() -> None:
    op.drop_table("audit_events")
