"""Let SQLite forget a document piece by piece.

A document that becomes a beginning of itself, with a space at its end, is being removed: only what
it has lost is forgotten. That removes a document, so one without words takes its place; both have
the same number, and the totals of the index stay right.
"""

from __future__ import annotations

from alembic import op

revision = "0013"  # not "posts_0002": databases from before there were branches stand at it
down_revision = "posts_0001"
branch_labels = None
depends_on = "users_0012"  # they have all that came before

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
