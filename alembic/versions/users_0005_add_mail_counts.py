"""Add counts of the mails recently sent to each recipient."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "users_0005"
down_revision = "users_0004"
branch_labels = None
depends_on = None

TIME = sa.CHAR(24).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "mail_counts",
        sa.Column("recipient", sa.CHAR(64), nullable=False),
        sa.Column("sent", sa.Text, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("recipient", name=op.f("pk_mail_counts")),
    )
    op.create_index(op.f("ix_mail_counts_expires_at"), "mail_counts", ["expires_at"])


def downgrade() -> None:
    op.drop_table("mail_counts")
