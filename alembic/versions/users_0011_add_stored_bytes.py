"""Add the counter of each user's stored bytes; `service.stored_bytes` fills it in batches."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "users_0011"
down_revision = "users_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("stored_bytes", sa.BigInteger, nullable=True))


def downgrade() -> None:
    op.drop_column("users", "stored_bytes")
