"""Add rotations to sessions: whether the last one arrived, and where it came from."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "users_0008"
down_revision = "users_0007"
branch_labels = None
depends_on = None

TIME = sa.CHAR(24).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
NEW = ("seen", "used_before", "rotated_network", "rotated_agent")


def upgrade() -> None:
    op.add_column("sessions", sa.Column("seen", sa.Integer, nullable=False, server_default="0"))
    op.add_column("sessions", sa.Column("used_before", TIME, nullable=True))
    op.add_column("sessions", sa.Column("rotated_network", sa.String(45), nullable=True))
    op.add_column("sessions", sa.Column("rotated_agent", sa.String(255), nullable=True))
    # Unknown whether a pair has arrived: an extra sign-in is better than letting a thief in.
    op.execute("UPDATE sessions SET seen = generation")


def downgrade() -> None:
    for name in NEW:
        op.drop_column("sessions", name)
