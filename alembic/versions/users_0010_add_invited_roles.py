"""Add the role that a user gets on accepting an invitation."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "users_0010"
down_revision = "users_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("invited_role", sa.String(10), nullable=True))


def downgrade() -> None:
    op.drop_column("users", "invited_role")
