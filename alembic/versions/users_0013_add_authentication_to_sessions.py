"""Add to sessions when and how their users proved who they are."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "users_0013"
down_revision = "users_0012"
branch_labels = None
depends_on = None

TIME = sa.CHAR(24).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.add_column("sessions", sa.Column("authenticated_at", TIME, nullable=True))
    op.add_column(
        "sessions", sa.Column("methods", sa.String(40), nullable=False, server_default="pwd")
    )


def downgrade() -> None:
    for name in ("authenticated_at", "methods"):
        op.drop_column("sessions", name)
