"""Add the key that addresses are compared by.

Processes of the previous release write rows without it until the last of them has ended. Triggers
set it for those: to the address in lower case if it is ASCII, which is correct, else to NULL until
`byline purge` fills it. A later release drops the triggers.
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "users_0006"
down_revision = "users_0005"
branch_labels = None
depends_on = None

POSTGRESQL = """
CREATE FUNCTION fill_email_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.email_key IS NULL OR
        (TG_OP = 'UPDATE' AND NEW.email <> OLD.email AND NEW.email_key = OLD.email_key)
    THEN
        NEW.email_key := CASE WHEN NEW.email ~ '^[ -~]*$' THEN lower(NEW.email) END;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER fill_email_key BEFORE INSERT OR UPDATE OF email ON users
FOR EACH ROW EXECUTE FUNCTION fill_email_key();
"""
FILL = """
    UPDATE users
    SET email_key = CASE WHEN new.email NOT GLOB '*[^ -~]*' THEN lower(new.email) END
    WHERE id = new.id;
"""
SQLITE = (
    f"""
CREATE TRIGGER fill_email_key_of_new AFTER INSERT ON users WHEN new.email_key IS NULL
BEGIN {FILL} END
""",
    f"""
CREATE TRIGGER fill_email_key_of_changed AFTER UPDATE OF email ON users
WHEN new.email <> old.email AND new.email_key IS old.email_key
BEGIN {FILL} END
""",
)


def upgrade() -> None:
    op.add_column("users", sa.Column("email_key", sa.String(254), nullable=True))
    op.create_index(op.f("ix_users_email_key"), "users", ["email_key"], unique=True)
    is_postgresql = op.get_context().dialect.name == "postgresql"
    for statement in [POSTGRESQL] if is_postgresql else SQLITE:
        op.execute(statement)


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP TRIGGER fill_email_key ON users")
        op.execute("DROP FUNCTION fill_email_key()")
    else:
        op.execute("DROP TRIGGER fill_email_key_of_new")
        op.execute("DROP TRIGGER fill_email_key_of_changed")
    op.drop_index(op.f("ix_users_email_key"), table_name="users")
    op.drop_column("users", "email_key")
