"""Add mails: the outbox, and the one-time tokens in sent mails."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "users_0002"
down_revision = "users_0001"
branch_labels = None
depends_on = None

ID = sa.CHAR(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
TIME = sa.CHAR(24).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "mails",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("kind", sa.String(30), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("token_hash", sa.CHAR(64), nullable=True),
        sa.Column("expires_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_mails_token_hash")),
    )
    for column in ("user_id", "due_at", "expires_at"):
        op.create_index(op.f(f"ix_mails_{column}"), "mails", [column])


def downgrade() -> None:
    op.drop_table("mails")
