"""Add the counts of failed sign-ins, and the networks from which users have signed in."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "users_0007"
down_revision = "users_0006"
branch_labels = None
depends_on = None

ID = sa.CHAR(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
TIME = sa.CHAR(24).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "sign_in_guards",
        sa.Column("account", sa.CHAR(64), nullable=False),
        sa.Column("history", sa.Text(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_sign_in_guards")),
    )
    op.create_index(op.f("ix_sign_in_guards_expires_at"), "sign_in_guards", ["expires_at"])
    op.create_table(
        "known_networks",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("network", sa.String(49), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_known_networks_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "network", name=op.f("pk_known_networks")),
    )
    op.create_index(op.f("ix_known_networks_expires_at"), "known_networks", ["expires_at"])


def downgrade() -> None:
    op.drop_table("known_networks")
    op.drop_table("sign_in_guards")
