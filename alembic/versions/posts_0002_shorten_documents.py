"""Let SQLite forget a document piece by piece.

An update that cuts a document off, and leaves a space at the end, is a step of its removal: only
the words that were cut off are deleted from the index. FTS5 counts that as a removed document, so
one without words is added under the same number, and the totals of the index stay right.
"""

from __future__ import annotations

from alembic import op

revision = "0013"  # not "posts_0002": databases from before the branches are at this one
down_revision = "posts_0001"
branch_labels = None
depends_on = "users_0012"  # those databases have all earlier revisions

FORGET = "INSERT INTO post_search (post_search, rowid, words) VALUES ('delete', old.id, {words});"
LEARN = "INSERT INTO post_search (rowid, words) VALUES (new.id, {words});"
REPLACE = FORGET.format(words="old.words") + LEARN.format(words="new.words")
SHORTEN = FORGET.format(words="substr(old.words, length(new.words) + 1)") + LEARN.format(words="''")
IS_SHORTENED = "substr(new.words, -1) = ' '"


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP TRIGGER post_documents_update")
        _create_trigger("update", f"WHEN NOT {IS_SHORTENED}", REPLACE)
        _create_trigger("shorten", f"WHEN {IS_SHORTENED}", SHORTEN)


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP TRIGGER post_documents_shorten")
        op.execute("DROP TRIGGER post_documents_update")
        _create_trigger("update", "", REPLACE)


def _create_trigger(name: str, when: str, statements: str) -> None:
    op.execute(
        f"CREATE TRIGGER post_documents_{name} AFTER UPDATE ON post_documents {when}"
        f" BEGIN {statements} END"
    )
