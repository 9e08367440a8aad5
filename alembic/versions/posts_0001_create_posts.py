"""Create posts and their search index."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "posts_0001"
down_revision = None
branch_labels = ("posts",)
depends_on = "users_0001"

ID = sa.CHAR(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
TIME = sa.CHAR(24).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
LEXEMES = sa.Text().with_variant(postgresql.TSVECTOR(), "postgresql")

# The index stores no text, so a deletion must pass the old text (sqlite.org/fts5, 4.4.3).
FORGET = "INSERT INTO post_search (post_search, rowid, words) VALUES ('delete', old.id, old.words);"
LEARN = "INSERT INTO post_search (rowid, words) VALUES (new.id, new.words);"
TRIGGERS = {"INSERT": LEARN, "DELETE": FORGET, "UPDATE": f"{FORGET} {LEARN}"}


def upgrade() -> None:
    op.create_table(
        "posts",
        sa.Column("id", ID, nullable=False),
        sa.Column("author_id", ID, nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posts")),
        _parent("posts", "author_id", "users.id"),
    )
    op.create_index(op.f("ix_posts_author_id_id"), "posts", ["author_id", "id"])
    op.create_table(
        "post_documents",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("lexemes", LEXEMES, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_post_documents")),
        sa.UniqueConstraint("post_id", name=op.f("uq_post_documents_post_id")),
        _parent("post_documents", "post_id", "posts.id"),
    )
    if op.get_context().dialect.name == "postgresql":
        op.create_index(
            op.f("ix_post_documents_lexemes"), "post_documents", ["lexemes"], postgresql_using="gin"
        )
    else:
        op.execute(
            "CREATE VIRTUAL TABLE post_search USING fts5"
            " (words, content='post_documents', content_rowid='id', tokenize='ascii')"
        )
        for event, statements in TRIGGERS.items():
            op.execute(
                f"CREATE TRIGGER post_documents_{event.lower()} AFTER {event} ON post_documents"
                f" BEGIN {statements} END"
            )


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP TABLE post_search")
    op.drop_table("post_documents")
    op.drop_table("posts")


def _parent(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint([column], [parent], name=name, ondelete="CASCADE")
