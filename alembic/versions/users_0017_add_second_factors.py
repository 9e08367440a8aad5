"""Add authenticator apps, recovery codes, and the resets of both that admins ask for."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "users_0017"
down_revision = "users_0016"
branch_labels = None
depends_on = None

ID = sa.CHAR(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
TIME = sa.CHAR(24).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "totp_factors",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        _owner("totp_factors"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_totp_factors")),
    )
    op.create_table(
        "pending_totps",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        _owner("pending_totps"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_pending_totps")),
    )
    op.create_index(op.f("ix_pending_totps_expires_at"), "pending_totps", ["expires_at"])
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("code_hash", sa.CHAR(64), nullable=False),
        _owner("recovery_codes"),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "factor_resets",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("asked_by", ID, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        _owner("factor_resets"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_factor_resets")),
    )
    op.create_index(op.f("ix_factor_resets_due_at"), "factor_resets", ["due_at"])


def downgrade() -> None:
    for table in ("factor_resets", "recovery_codes", "pending_totps", "totp_factors"):
        op.drop_table(table)


def _owner(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_user_id")
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=name, ondelete="CASCADE")
