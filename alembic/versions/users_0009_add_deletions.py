"""Hide deleted accounts at once, and remove their data in the background."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "users_0009"
down_revision = "users_0008"
branch_labels = None
depends_on = None

ID = sa.CHAR(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
TIME = sa.CHAR(24).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    deleted = sa.Column("deleted", sa.Boolean, server_default=sa.false(), nullable=False)
    op.add_column("users", deleted)
    op.create_table(
        "deletions",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_deletions")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_deletions_user_id"), ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    # Older code does not know that these accounts are hidden.
    op.execute("DELETE FROM users WHERE deleted")
    op.drop_table("deletions")
    op.drop_column("users", "deleted")
