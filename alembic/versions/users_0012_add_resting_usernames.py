"""Add the user names that were given up and cannot be taken for a while."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "users_0012"
down_revision = "users_0011"
branch_labels = None
depends_on = None

ID = sa.CHAR(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
TIME = sa.CHAR(24).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "resting_usernames",
        sa.Column("username", sa.String(30), nullable=False),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("username", name=op.f("pk_resting_usernames")),
        # The previous release deletes users too, and does not know this table.
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_resting_usernames_user_id"),
            ondelete="SET NULL",
        ),
    )
    for column in ("user_id", "expires_at"):
        op.create_index(op.f(f"ix_resting_usernames_{column}"), "resting_usernames", [column])


def downgrade() -> None:
    op.drop_table("resting_usernames")
