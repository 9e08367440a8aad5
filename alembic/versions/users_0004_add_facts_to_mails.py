"""Add facts to mails: when and from where a mail was asked for."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "users_0004"
down_revision = "users_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mails", sa.Column("facts", sa.Text, nullable=True))


def downgrade() -> None:
    op.drop_column("mails", "facts")
