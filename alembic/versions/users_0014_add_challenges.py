"""Add the challenges that sign-ins with a second factor and passkeys answer."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "users_0014"
down_revision = "users_0013"
branch_labels = None
depends_on = None

ID = sa.CHAR(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
TIME = sa.CHAR(24).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "challenges",
        sa.Column("value_hash", sa.CHAR(64), nullable=False),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_challenges_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("value_hash", name=op.f("pk_challenges")),
    )
    for column in ("user_id", "expires_at"):
        op.create_index(op.f(f"ix_challenges_{column}"), "challenges", [column])


def downgrade() -> None:
    op.drop_table("challenges")
